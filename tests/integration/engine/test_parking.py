"""Failed records wait, are tried again and come back, in the order of their keys, on the real broker."""

import threading

import pytest
from confluent_kafka import Message

from streams.dev.readiness import await_condition
from streams.engine.batch import Batch
from streams.engine.raw_producer import RawProducer
from streams.engine.retrying import RetryPolicy
from streams.errors import BusinessRuleViolation, TransientError
from tests.integration.engine.conftest import MakeBench
from tests.integration.engine.counting import count, counting_app
from tests.integration.engine.stages import WAIT_S, Bench, running

QUICK = RetryPolicy(retries=2, initial_s=0.1, factor=2, max_s=0.2, jitter=0, outage_failures=1000)


class Trouble:
    """Handles like `count`, but fails where it is told to."""

    def __init__(self) -> None:
        self.failures: dict[bytes, list[Exception]] = {}
        self.down = threading.Event()
        self.attempts: list[bytes] = []

    def __call__(self, batch: Batch, record: Message) -> None:
        value = record.value() or b""
        self.attempts.append(value)
        count(batch, record)  # what it wrote and sent before it fails is undone
        if self.down.is_set():
            raise TransientError("the other side is down")
        if self.failures.get(value):
            raise self.failures[value].pop(0)


@pytest.fixture
def trouble() -> Trouble:
    return Trouble()


def letters(bench: Bench) -> dict[bytes, dict[str, bytes | None]]:
    """Dead letters: their headers by value."""
    return {m.value() or b"": dict(m.headers() or ()) for m in bench.read(bench.spec.dead_letters)}  # type: ignore[arg-type]


def send_back(bench: Bench, values: list[bytes], action: bytes) -> None:
    """Return letters as the dead letter stage does."""
    by_value = {m.value(): m for m in bench.read(bench.spec.dead_letters)}
    with RawProducer(bench.settings, linger_ms=1) as producer:
        for value in values:
            letter = by_value[value]
            headers = [*(letter.headers() or ()), ("headrace-action", action)]
            partition = int(dict(headers)["__streams.errors.partition"] or 0)
            producer.send(
                bench.spec.redrive, value, letter.key(), partition=partition,
                timestamp_ms=letter.timestamp()[1], headers=headers,
            )  # fmt: skip


def values_of(bench: Bench, key: bytes) -> list[bytes]:
    return [value.partition(b":")[0] for value in bench.outputs().get(key, [])]


def test_a_retry_keeps_the_order_of_its_key_and_delays_no_other(make_bench: MakeBench, trouble: Trouble) -> None:
    bench = make_bench(retries=QUICK)
    trouble.failures = {b"a1": [ValueError("a bug"), TransientError("busy")]}
    bench.produce([(b"a", b"a1"), (b"b", b"b1"), (b"a", b"a2"), (b"b", b"b2"), (b"a", b"a3")])
    with running(counting_app(bench.spec, bench.settings, trouble)):
        await_condition(lambda: len(values_of(bench, b"a")) == 3, WAIT_S, "the retries")
    assert values_of(bench, b"a") == [b"a1", b"a2", b"a3"]
    assert values_of(bench, b"b") == [b"b1", b"b2"]
    assert bench.outputs()[b"a"] == [b"a1:1", b"a2:2", b"a3:3"], "failed attempts left nothing in the table"
    assert trouble.attempts.index(b"b2") < trouble.attempts.index(b"a2")
    assert not letters(bench)


def test_spent_retries_hold_the_key_until_its_letters_come_back(make_bench: MakeBench, trouble: Trouble) -> None:
    bench = make_bench(retries=QUICK)
    trouble.failures = {b"a1": [ValueError("a bug")] * 3}
    bench.produce([(b"a", b"a1"), (b"a", b"a2"), (b"b", b"b1")])
    with running(counting_app(bench.spec, bench.settings, trouble)):
        await_condition(lambda: len(letters(bench)) == 2, WAIT_S, "the letters")
        bench.produce([(b"a", b"a3")])
        await_condition(lambda: len(letters(bench)) == 3, WAIT_S, "the held successor")
        found = letters(bench)
        send_back(bench, [b"a1"], b"redrive")
        await_condition(lambda: values_of(bench, b"a") == [b"a1"], WAIT_S, "the first to come back")
        bench.produce([(b"a", b"a4")])
        bench.await_all_committed()
        send_back(bench, [b"a3", b"a3"], b"redrive")
        send_back(bench, [b"a2"], b"discard")
        await_condition(lambda: len(values_of(bench, b"a")) == 3, WAIT_S, "the rest")
        bench.await_all_committed()
    assert values_of(bench, b"a") == [b"a1", b"a3", b"a4"]
    assert values_of(bench, b"b") == [b"b1"]
    assert [found[value]["headrace-category"] for value in (b"a1", b"a2", b"a3")] == [b"UNKNOWN", b"HELD", b"HELD"]
    assert found[b"a1"]["headrace-attempts"] == b"3"
    assert found[b"a1"]["headrace-first-failed-at"] < found[b"a1"]["headrace-last-failed-at"]  # type: ignore[operator]
    assert found[b"a2"]["headrace-attempts"] == b"0"


def test_waiting_records_survive_a_restart(make_bench: MakeBench, trouble: Trouble) -> None:
    bench = make_bench(retries=RetryPolicy(retries=5, initial_s=1, factor=1, jitter=0))
    trouble.failures = {b"a1": [ValueError("a bug")]}
    bench.produce([(b"a", b"a1"), (b"a", b"a2")])
    with running(counting_app(bench.spec, bench.settings, trouble)):
        bench.await_all_committed()
    with running(counting_app(bench.spec, bench.settings, trouble)):
        await_condition(lambda: values_of(bench, b"a") == [b"a1", b"a2"], WAIT_S, "the retry after the restart")


def test_a_business_rule_is_not_retried_and_a_redrive_that_fails_again_holds_again(
    make_bench: MakeBench, trouble: Trouble
) -> None:
    bench = make_bench(retries=QUICK)
    trouble.failures = {b"a1": [BusinessRuleViolation("no")] * 2}
    bench.produce([(b"a", b"a1"), (b"a", b"a2")])
    with running(counting_app(bench.spec, bench.settings, trouble)):
        await_condition(lambda: len(letters(bench)) == 2, WAIT_S, "the letters")
        send_back(bench, [b"a1", b"a2"], b"redrive")
        await_condition(lambda: len(bench.read(bench.spec.dead_letters)) == 4, WAIT_S, "the letters again")
        send_back(bench, [b"a1", b"a2"], b"redrive")
        await_condition(lambda: values_of(bench, b"a") == [b"a1", b"a2"], WAIT_S, "both, mended")
    assert trouble.attempts.count(b"a1") == 3


def test_an_outage_parks_a_few_buries_none_and_ends_by_itself(make_bench: MakeBench, trouble: Trouble) -> None:
    policy = RetryPolicy(retries=1, initial_s=0.2, factor=1.5, max_s=0.5, jitter=0, outage_failures=3)
    bench = make_bench(retries=policy, partitions=2)
    trouble.down.set()
    sent = [(b"k%d" % (n % 20), b"%d" % n) for n in range(200)]
    bench.produce(sent)
    with running(counting_app(bench.spec, bench.settings, trouble)) as stage:
        await_condition(lambda: "an outage" in stage.app.status().reason, WAIT_S, "the outage to be told")
        assert stage.app.status().state == "waiting"
        tried = len(trouble.attempts)
        await_condition(lambda: len(trouble.attempts) > tried + 2, WAIT_S, "probes")
        trouble.down.clear()
        bench.await_all_committed()
        await_condition(lambda: sum(map(len, bench.outputs().values())) == 200, WAIT_S, "everything")
        stage.await_state("running")
    for key, values in bench.outputs().items():
        assert [v.partition(b":")[0] for v in values] == [value for of, value in sent if of == key]
    assert not letters(bench)


def test_where_nothing_more_can_be_parked_the_partition_waits(make_bench: MakeBench, trouble: Trouble) -> None:
    policy = RetryPolicy(retries=3, initial_s=1.5, factor=1, jitter=0, most_of_a_key=3, outage_failures=1000)
    bench = make_bench(retries=policy)
    trouble.failures = {b"0": [ValueError("a bug")]}
    bench.produce([(b"a", b"%d" % n) for n in range(10)])
    with running(counting_app(bench.spec, bench.settings, trouble)):
        await_condition(lambda: len(values_of(bench, b"a")) == 10, WAIT_S, "everything")
    assert values_of(bench, b"a") == [b"%d" % n for n in range(10)]
    assert not letters(bench)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("headrace-action", b"rewind"), ("__streams.errors.topic", b"another"),
        ("__streams.errors.partition", b"7"), ("__streams.errors.offset", b"-1"),
    ],
)  # fmt: skip
def test_a_return_that_makes_no_sense_becomes_a_letter(
    make_bench: MakeBench, trouble: Trouble, header: str, value: bytes
) -> None:
    bench = make_bench(retries=QUICK)
    good = {
        "headrace-action": b"redrive", "__streams.errors.topic": bench.spec.lead.encode(),
        "__streams.errors.partition": b"0", "__streams.errors.offset": b"0",
    }  # fmt: skip
    with RawProducer(bench.settings, linger_ms=1) as producer:
        headers = [*(good | {header: value}).items()]
        producer.send(bench.spec.redrive, b"v", b"k", partition=0, timestamp_ms=1, headers=headers)
    with running(counting_app(bench.spec, bench.settings, trouble)):
        bench.await_all_committed()
    (letter,) = letters(bench).values()
    assert letter["headrace-category"] == b"INVALID_FORMAT"
    assert letter["__streams.errors.topic"] == bench.spec.redrive.encode()
    assert header.encode() in (letter["__streams.errors.message"] or b"")
