"""`headrace replay` on a real broker: what it shows, sets, refuses and takes back, and that Kafka's own tool agrees."""

import csv
import io
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer  # noqa: TID251 a member that is none of ours

from streams.config import Settings
from streams.dev.cluster import KafkaCluster
from streams.dev.readiness import admin_client, await_condition
from streams.engine.owners import members_of
from streams.errors import HeadraceError
from streams.topology.replay import Partition
from streams.topology.replaying import OffsetsStay, carry_out
from tests.chaos.domain import FOLLOW, LEAD
from tests.clients.programs import KafkaTools
from tests.conftest import ROOT
from tests.integration.replaying import COUNTING, PARTITIONS, ROUTER, SOURCE, Operator

HOUR_MS = 3_600_000
FIRST_MS = int(time.time() * 1000) - 10 * HOUR_MS  # the broker refuses what is of the future


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    """Of its own, for `apply` makes topics that all share, and the topology's names are fixed."""
    with KafkaCluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def furnished(cluster: KafkaCluster) -> list[Operator]:
    """The first operator, who has set the cluster up."""
    del cluster
    return []


@pytest.fixture
def operator(
    cluster: KafkaCluster,
    furnished: list[Operator],
    settings_for: Callable[..., Settings],
    environment_of: Callable[[Settings], dict[str, str]],
) -> Operator:
    settings = settings_for(cluster.bootstrap_servers, HEADRACE_APP="tests.chaos.domain")
    made = Operator(settings, environment_of(settings), admin_client(cluster.bootstrap_servers))
    if not furnished:
        made.set_up()
        _fill(made)
        furnished.append(made)
    return made


def _fill(operator: Operator) -> None:
    """Records an hour apart; of the lead's first partition the oldest are gone, the last partition is empty."""
    for partition, count in enumerate((6, 3, 1)):
        operator.produce(LEAD, partition, *(FIRST_MS + hour * HOUR_MS for hour in range(count)))
        operator.produce(FOLLOW, partition, *(FIRST_MS + hour * HOUR_MS for hour in range(count)))
    operator.delete_before(LEAD, 0, 2)


@contextmanager
def member(operator: Operator, protocol: str, client_id: str = "http://10.0.0.7:6066") -> Iterator[None]:
    """A member of the counting stage's group."""
    config = {"group.id": COUNTING, "group.protocol": protocol, "client.id": client_id, "enable.auto.commit": False}
    consumer = Consumer({**operator.settings.kafka_config(), **config})
    consumer.subscribe([LEAD])

    def joined() -> bool:
        consumer.poll(0.1)
        return len(consumer.assignment()) == PARTITIONS

    try:
        await_condition(joined, 30, "an assignment")
        yield
    finally:
        consumer.close()


def procedure() -> list[str]:
    """Commands of docs/operations.md, "Replay"; a worker is started and stopped by the test."""
    section = (ROOT / "docs" / "operations.md").read_text().partition("\n## Replay\n")[2].partition("\n## ")[0]
    commands = re.findall(r"^ *\$ (.+)$", section, re.MULTILINE)
    return [command for command in commands if not command.startswith("headrace worker")]


def test_the_documented_procedure_routes_again_and_takes_back(
    operator: Operator, kafka_tools: KafkaTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    operator.send_orders(1, 2, 3, 4)
    operator.route_all(4, tmp_path / "first.log")
    first, before = operator.routed(), operator.offsets(ROUTER, SOURCE)
    assert len(first) == 4

    look, replay, undo, *afresh = (command.removeprefix("headrace ") for command in procedure())
    operator.done(*look.split())
    assert operator.offsets(ROUTER, SOURCE) == before
    operator.done(*replay.split())
    assert operator.offsets(ROUTER, SOURCE) == {(SOURCE, partition): 0 for partition in range(PARTITIONS)}
    operator.done(*undo.split())
    assert operator.offsets(ROUTER, SOURCE) == before

    to_earliest, delete, apply = afresh
    operator.done(*to_earliest.split())
    in_path = {**operator.environment, "PATH": f"{kafka_tools.bin}:{operator.environment['PATH']}"}
    subprocess.run(["bash", "-c", delete], env=in_path, check=True, timeout=90, capture_output=True)
    operator.done(*apply.split())
    operator.route_all(4, tmp_path / "second.log")
    assert operator.routed() == sorted(first * 2)
    assert "routes.changelog was made anew" in (tmp_path / "second.log").read_text()


def test_what_was_executed_is_undone_by_the_command_that_it_prints(operator: Operator) -> None:
    operator.replay("counting", "--to-offset", "2", "--execute")
    before = operator.offsets(COUNTING, LEAD, FOLLOW)
    done = operator.headrace("replay", "counting", "--to-earliest", "--topic", LEAD, "--execute")
    assert done.returncode == 0, done.stderr
    assert operator.offsets(COUNTING, LEAD, FOLLOW)[LEAD, 1] == 0
    warned, told = done.stderr.splitlines()
    assert "tables are not reset (counts)" in warned
    assert "delete headrace.counting.counts.changelog" in warned
    operator.done(*told.partition("; undo: headrace ")[2].split())
    assert operator.offsets(COUNTING, LEAD, FOLLOW) == before


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_stage_with_workers_is_refused_until_they_are_gone(operator: Operator, protocol: str) -> None:
    offsets = operator.offsets(COUNTING, LEAD, FOLLOW)
    with member(operator, protocol):
        for how in ("--dry-run", "--execute"):
            code, line = operator.refused("counting", "--to-latest", how)
            assert code == 1
            assert "has members http://10.0.0.7:6066; stop them with SIGTERM" in line
        # It came between the check and the change.
        with pytest.raises(OffsetsStay, match=r"^group headrace.counting: no offset was set: a worker has joined"):
            carry_out(operator.admin, COUNTING, {Partition(LEAD, 1): 1, Partition(FOLLOW, 1): 1}, "undo")
        assert operator.offsets(COUNTING, LEAD, FOLLOW) == offsets
    done = operator.replay("counting", "--to-offset", "1", "--topic", f"{LEAD}:1", "--topic", FOLLOW, "--execute")
    assert [(row["topic"], row["partition"], row["new_offset"]) for row in done] == [
        *((FOLLOW, partition, 1 if partition < 3 else 0) for partition in range(PARTITIONS)),
        (LEAD, 1, 1),
    ]
    assert operator.offsets(COUNTING, LEAD, FOLLOW)[LEAD, 1] == 1
    operator.replay("counting", "--to-earliest", "--execute")


def test_other_members_are_named_with_their_host(operator: Operator) -> None:
    with member(operator, "classic", "somebody"):
        assert members_of(operator.settings, COUNTING) == ["somebody at 127.0.0.1"]


def test_what_was_set_and_what_was_not_is_said(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.topology.offsets.SETTLED_S", 0.5)
    targets = {Partition(LEAD, 1): 2, Partition(LEAD, 99): 0}
    with pytest.raises(HeadraceError, match=r"only counting.lead/1 were set, not counting.lead/99: .*; undo: back$"):
        carry_out(operator.admin, COUNTING, targets, "back")
    assert operator.offsets(COUNTING, LEAD)[LEAD, 1] == 2


def test_the_exported_file_leads_back_partition_by_partition(operator: Operator, tmp_path: Path) -> None:
    path = tmp_path / "before.csv"
    operator.replay("counting", "--to-offset", "1", "--execute")
    before = operator.offsets(COUNTING, LEAD, FOLLOW)
    operator.replay("counting", "--to-latest", "--export", str(path))
    operator.replay("counting", "--to-latest", "--export", str(path), "--execute")
    assert operator.offsets(COUNTING, LEAD, FOLLOW) != before
    (again,) = operator.replay("counting", "--from-file", str(path), "--topic", f"{LEAD}:1", "--execute")
    assert (again["current_offset"], again["new_offset"], again["reprocessed"]) == (3, 1, 2)
    code, line = operator.refused("counting", "--to-earliest", "--export", str(path))
    assert (code, line) == (1, f"{path} is there already, with something else in it; name another file")
    operator.done("replay", "counting", "--from-file", str(path), "--execute")
    assert operator.offsets(COUNTING, LEAD, FOLLOW) == before


def _written(hour: int, zone: tzinfo | None) -> str:
    """Half an hour before a record, with its zone or as UTC without one."""
    moment = datetime.fromtimestamp((FIRST_MS + hour * HOUR_MS - HOUR_MS // 2) / 1000, zone or UTC)
    return (moment if zone else moment.replace(tzinfo=None)).isoformat(timespec="milliseconds")


SCENARIOS = [
    ["--to-earliest"],
    ["--to-latest"],
    ["--to-current"],
    ["--to-offset", "4"],
    ["--shift-by", "-1"],
    ["--to-datetime", _written(2, timezone(timedelta(hours=1)))],
    ["--to-datetime", _written(4, None)],
    ["--by-duration", "PT7H30M"],
]


def test_kafkas_own_tool_would_set_the_same_offsets(
    operator: Operator, kafka_tools: KafkaTools, tmp_path: Path
) -> None:
    operator.produce(FOLLOW, 3, int(time.time() * 1000) - HOUR_MS)
    operator.replay("counting", "--to-offset", "2", "--execute")
    chosen = ["--topic", f"{LEAD}:0,1,3", "--topic", FOLLOW]

    def kafkas(*arguments: str) -> str:
        at = ("--bootstrap-server", operator.settings.bootstrap_servers(), "--group", COUNTING)
        return kafka_tools.done("kafka-consumer-groups.sh", *at, "--reset-offsets", *arguments)

    for scenario in SCENARIOS:
        ours = operator.replay("counting", *scenario, *chosen)
        assert _new_offsets(kafkas(*scenario, *chosen, "--dry-run")) == [_row(row) for row in ours], scenario
    path = tmp_path / "ours.csv"
    operator.replay("counting", "--to-current", *chosen, "--export", str(path))
    exported = kafkas("--to-current", *chosen, "--dry-run", "--export")
    assert sorted(filter(None, csv.reader(io.StringIO(exported)))) == sorted(csv.reader(path.open()))
    (tmp_path / "kafkas.csv").write_text(exported)
    operator.replay("counting", "--to-latest", *chosen, "--execute")
    from_theirs = operator.replay("counting", "--from-file", str(tmp_path / "kafkas.csv"))
    assert _new_offsets(kafkas("--from-file", str(path), "--dry-run")) == [_row(row) for row in from_theirs]


def _new_offsets(table: str) -> list[tuple[str, int, int]]:
    """Rows of the tool's table GROUP TOPIC PARTITION NEW-OFFSET."""
    rows = [line.split() for line in table.splitlines() if line.startswith(COUNTING)]
    return sorted((topic, int(partition), int(offset)) for _, topic, partition, offset in rows)


def _row(row: dict[str, Any]) -> tuple[str, int, int]:
    return row["topic"], row["partition"], row["new_offset"]


def test_the_table_says_what_is_processed_again_and_that_nothing_was_changed(operator: Operator) -> None:
    operator.replay("counting", "--to-earliest", "--execute")
    answer = operator.headrace("replay", "counting", "--to-offset", "5", "--topic", f"{LEAD}:0,1")
    header, *rows = (line.split() for line in answer.stdout.splitlines())
    assert header == ["stage", "topic", "partition", "current", "offset", "new", "offset", "reprocessed", "skipped"]
    assert rows == [["counting", LEAD, "0", "2", "5", "0", "3"], ["counting", LEAD, "1", "0", "3", "0", "3"]]
    clamped, tables, told = answer.stderr.splitlines()
    assert clamped == f"warning: {LEAD}/1: offset 5 is after the end; the end 3 is taken"
    assert tables.startswith("warning: tables are not reset (counts)")
    assert told == "dry run: nothing was changed; --execute does it"


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["countin", "--to-latest"], 2, "unknown stage countin; the topology has: counting, "),
        (["counting", "--to-latest", "--topic", "orders"], 2, "topic 'orders' is no source of stage counting"),
        (["counting", "--to-latest", "--topic", f"{LEAD}:4"], 2, f"topic {LEAD} has partitions 0 to 3, got 4"),
        (["counting", "--from-file", "/none"], 2, "--from-file: cannot read /none: No such file or directory"),
        (["counting", "--from-file", __file__], 1, "expected topic,partition,offset, got"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    operator: Operator, arguments: Sequence[str], code: int, expected: str
) -> None:
    got, line = operator.refused(*arguments)
    assert (got, expected in line) == (code, True), line


def test_without_a_broker_it_exits_3(operator: Operator) -> None:
    code, line = operator.refused("counting", "--to-latest", KAFKA_BOOTSTRAP_SERVERS="")
    assert (code, line.partition(":")[0]) == (3, "no broker")
