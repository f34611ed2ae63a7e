import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams import cli
from streams.errors import HeadraceError, NotReachable, UsageError
from tests.unit.web.letter_desk import MemoryDesk, index_of, letters
from tests.unit.web.memory import ALL, PARTITIONS
from tests.unit.web.test_cli_tables import serving

COUNT = 2500  # more than two pages


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(index_of(letters(COUNT)), known=ALL, desk=MemoryDesk(), deadletters=range(PARTITIONS)) as address:
        yield address


def dlq(url: str, *arguments: str) -> Result:
    # Whatever would be asked of Kafka fails at once: there is none.
    nowhere = {"HEADRACE_URL": url, "KAFKA_BOOTSTRAP_SERVERS": "", "XDG_STATE_HOME": str(Path(__file__).parent)}
    return CliRunner(env=nowhere).invoke(cli.headrace, ["dlq", *arguments])


def rows(result: Result) -> list[dict[str, object]]:
    assert result.exception is None, result.output
    found: list[dict[str, object]] = json.loads(result.stdout)
    return found


def test_letters_are_listed_page_after_page_up_to_the_limit(url: str) -> None:
    listed = dlq(url, "list", "--limit", "2100", "--output", "json")
    assert [row["offset"] for row in rows(listed)] == list(range(2100))
    assert "there are more letters" in listed.stderr
    whole = dlq(url, "list", "--limit", str(COUNT), "--state", "redriven", "--output", "json")
    assert len(rows(whole)) == COUNT // 4
    assert whole.stderr == ""


def test_a_list_is_a_table_unless_asked_for_otherwise(url: str) -> None:
    header, first, *_ = dlq(url, "list", "--key", "k1").stdout.splitlines()
    assert header.split()[:4] == ["id", "state", "category", "exception"]
    assert first.split()[:4] == ["router:orders.inbound:3:1", "new", "TRANSIENT", "TransientError"]


def test_one_letter_is_shown_with_what_is_in_it(url: str) -> None:
    shown = dlq(url, "show", "router:orders.inbound:3:1").stdout
    for expected in ("TransientError", '"order_id": "ORD-1"', "ce_id: <b>1</b>", "Traceback"):
        assert expected in shown
    assert json.loads(dlq(url, "show", "router:orders.inbound:3:1", "--output", "json").stdout)["offset"] == 1
    missing = dlq(url, "show", "router:orders.inbound:3:9999").exception
    assert isinstance(missing, HeadraceError)
    assert (missing.exit_code, "headrace dlq list" in str(missing)) == (1, True)


def test_groups_count_all_letters(url: str) -> None:
    groups = rows(dlq(url, "group", "--by", "category,state", "--output", "json"))
    assert sum(int(str(row["letters"])) for row in groups) == COUNT
    assert {(row["category"], row["state"]) for row in groups} >= {("UNKNOWN", "redriven"), ("TRANSIENT", "new")}


def test_a_redrive_is_a_dry_run_unless_told_to_execute(url: str) -> None:
    dry = dlq(url, "redrive", "--category", "UNKNOWN", "--output", "json")
    assert [(row["category"], row["state"]) for row in rows(dry)] == [("UNKNOWN", "new")]
    assert "--execute does it" in dry.stderr
    named = dlq(url, "discard", "router:orders.inbound:3:3", "router:orders.inbound:3:2", "--output", "json")
    assert [row["letters"] for row in rows(named)] == [1]
    assert "router:orders.inbound:3:3 is redriven already; there is nothing to discard" in named.stderr
    without_kafka = dlq(url, "redrive", "--category", "UNKNOWN", "--execute").exception
    assert isinstance(without_kafka, NotReachable)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list", "--category", "odd"), "category: expected one of"),
        (("list", "--since", "then"), "since: expected a time"),
        (("show", "nonsense"), "LETTER: expected <stage>"),
        (("group", "--by", "colour"), "--by: expected some of"),
        (("redrive",), "got none"),
        (("redrive", "a:b:1:2", "--stage", "router"), "got both"),
        (("discard", "--state", "open", "--dry-run", "--execute"), "got both"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_2(url: str, arguments: tuple[str, ...], said: str) -> None:
    result = dlq(url, *arguments)
    if isinstance(result.exception, UsageError):
        assert (said in str(result.exception), result.exception.exit_code) == (True, 2)
    else:
        assert (said in result.output, result.exit_code) == (True, 2)


def test_a_rate_below_everything_is_refused(url: str) -> None:
    assert dlq(url, "redrive", "--state", "open", "--rate", "0").exit_code == 2
