"""What a person reads who calls `headrace` wrongly, or asks it for help."""

import sys
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner

from streams import cli
from streams.app import one_stage
from streams.config import Settings
from streams.engine.stage import StageSpec
from streams.errors import UsageError

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["headrace", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return run


@pytest.mark.parametrize("arguments", [(), ("topology",), ("tables",)])
def test_a_group_without_a_command_shows_its_help(call: Call, arguments: tuple[str, ...]) -> None:
    code, said = call(*arguments)
    assert code == 2
    assert said.startswith(f"Usage: {' '.join(('headrace', *arguments))} [OPTIONS] COMMAND")
    assert "\nCommands:\n" in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("topolgy",), "no command 'topolgy', did you mean 'topology'? (see `headrace --help`)"),
        (("topology", "lnt"), "no command 'lnt', did you mean 'lint'? (see `headrace topology --help`)"),
        (("nonsense",), "no command 'nonsense' (see `headrace --help`)"),
        (("send",), "Missing argument 'TYPE' (see `headrace send --help`)"),
        (("dev", "up", "--brokers", "2"), "'2' is not one of '1', '3' (see `headrace dev up --help`)"),
        (("topology", "lint", "--x"), "No such option: --x (see `headrace topology lint --help`)"),
        (("replay", "router"), "--from-file, got none (see `headrace replay --help`)"),
        (
            ("replay", "router", "--to-latest", "--shift-by", "-1"),
            "got --to-latest and --shift-by (see `headrace replay --help`)",
        ),
        (
            ("replay", "router", "--to-latest", "--dry-run", "--execute"),
            "expected --dry-run or --execute, got both (see `headrace replay --help`)",
        ),
        (
            ("replay", "router", "--to-offset", "-1"),
            "Invalid value for '--to-offset': -1 is not in the range x>=0 (see `headrace replay --help`)",
        ),
    ],
)
def test_a_wrong_call_is_one_line_that_names_the_help_for_it(
    call: Call, arguments: tuple[str, ...], expected: str
) -> None:
    code, said = call(*arguments)
    assert code == 2
    assert said.startswith("headrace: ")
    assert said.endswith(f"{expected}\n")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--to-datetime", "noon"), "--to-datetime: expected a time such as 2026-11-25T10:15:00.000Z or with +01:00"),
        (("--by-duration", "1h"), "--by-duration: expected a duration PnDTnHnMnS such as PT30M or P1DT12H, got '1h'"),
        (("--from-file", "/none.csv"), "--from-file: cannot read /none.csv: No such file or directory"),
    ],
)
def test_a_replay_that_means_nothing_is_refused_without_a_broker(
    call: Call, arguments: tuple[str, ...], expected: str
) -> None:
    code, said = call("replay", "router", *arguments)
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith(expected)


def test_a_stage_of_several_versions_is_named_with_one() -> None:
    specs = [StageSpec(f"projections.orders.v{version}", ("orders.events",)) for version in (1, 2)]
    assert one_stage(specs, "projections.orders.v2") is specs[1]
    expected = "name one: projections.orders.v1, projections.orders.v2$"
    with pytest.raises(UsageError, match=expected):
        one_stage(specs, "projections.orders")
    with pytest.raises(UsageError, match=r"^unknown stage projections.orders.v3; the topology has: "):
        one_stage(specs, "projections.orders.v3")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("HEADRACE_WEB_TOKENS", "s3cret", "with role viewer, operator, admin; entry 1 has no colon"),
        ("HEADRACE_WEB_TOKENS", "a:viewer,s3cret:king", "entry 2 ends in another role"),
        ("KAFKA_BOOTSTRAP_SERVERS", "one:9092,two:99999", "with ports from 1 to 65535, got two:99999"),
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost:", "got localhost:"),
        ("KAFKA_BOOTSTRAP_SERVERS", "[::1]:0", "got [::1]:0"),
    ],
)
def test_a_wrong_setting_is_one_line_that_says_why(
    call: Call, monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(name, value)
    code, said = call("topology", "plan")
    assert code == 2
    assert said.startswith(f"{name}: expected ")
    assert said.endswith(f"{expected}\n")


@pytest.mark.parametrize("servers", ["kafka:9092", "one:1,two:65535", "kafka", "[::1]:9092", "::1", "SSL://kafka:9093"])
def test_addresses_that_kafkas_client_takes_are_taken(servers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", servers)
    assert Settings().bootstrap_servers() == servers


def test_no_line_of_help_is_cut() -> None:
    context = click.Context(cli.headrace)
    groups = [name for name in cli.NOUNS if isinstance(cli.headrace.get_command(context, name), click.Group)]
    for arguments in ([], *([name] for name in groups)):
        shown = CliRunner().invoke(cli.headrace, [*arguments, "--help"]).output
        assert "..." not in shown.partition("Commands:")[2]
