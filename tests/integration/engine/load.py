"""Records that keep coming while workers join, leave and die, and the recount that finds what got lost on the way."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from streams.engine.raw_producer import RawProducer
from tests.integration.engine.stages import Bench

KEYS = 40


class Load(threading.Thread):
    """Sends numbered records to every source in turn, at a rate, until stopped."""

    def __init__(self, bench: Bench, rate: float = 2_000) -> None:
        super().__init__(name="load", daemon=True)
        self.sent: dict[str, dict[bytes, list[bytes]]] = {source: {} for source in bench.spec.sources}
        self.count = 0
        self.error: BaseException | None = None
        self._bench = bench
        self._rate = rate
        self._enough = threading.Event()

    def run(self) -> None:
        try:
            with RawProducer(self._bench.settings, linger_ms=5) as producer:
                started = time.monotonic()
                while not self._enough.is_set():
                    self._send_one(producer)
                    if self.count % 50 == 0:
                        ahead = self.count / self._rate - (time.monotonic() - started)
                        self._enough.wait(max(ahead, 0))  # the rate is the point
        except BaseException as error:  # noqa: BLE001 the test's own thread raises it
            self.error = error

    def _send_one(self, producer: RawProducer) -> None:
        sources = self._bench.spec.sources
        source, number = self.count % len(sources), self.count
        key, value = b"k%02d" % (number * 7 % KEYS), b"%d.%d" % (source, number)
        producer.send(sources[source], value, key, timestamp_ms=0, headers=[])
        self.sent[sources[source]].setdefault(key, []).append(value)
        self.count += 1

    def stop(self) -> None:
        self._enough.set()
        self.join(30)
        assert not self.is_alive()
        if self.error is not None:
            raise self.error


@contextmanager
def loading(bench: Bench, rate: float = 2_000) -> Iterator[Load]:
    load = Load(bench, rate)
    load.start()
    try:
        yield load
    finally:
        load.stop()


def difference(source: str, key: bytes, sent: list[bytes], came: list[bytes]) -> str:
    """What got lost, doubled or out of order, in one line."""
    lost, doubled = set(sent) - set(came), len(came) - len(set(came))
    first = next((n for n, (a, b) in enumerate(zip(sent, came, strict=False)) if a != b), min(len(sent), len(came)))
    return (
        f"{source} {key!r}: {len(sent)} sent, {len(came)} came, {len(lost)} lost, {doubled} doubled; from {first} on "
        f"sent {sent[first : first + 3]}, came {came[first : first + 3]}"
    )


def assert_exactly_once(bench: Bench, load: Load) -> None:
    """Everything sent came out once; per key and source in order, counted without a gap; the table agrees."""
    outputs = bench.outputs()
    sent_by_key: dict[bytes, int] = {}
    for source, by_key in load.sent.items():
        mark = b"%d." % bench.spec.sources.index(source)
        for key, values in by_key.items():
            sent_by_key[key] = sent_by_key.get(key, 0) + len(values)
            came = [output.rpartition(b":")[0] for output in outputs.get(key, []) if output.startswith(mark)]
            assert came == values, difference(source, key, values, came)
    for key, values in outputs.items():
        assert [int(value.rpartition(b":")[2]) for value in values] == list(range(1, len(values) + 1)), key
    assert {key: len(values) for key, values in outputs.items()} == sent_by_key
    if bench.spec.tables:
        assert bench.changelog() == sent_by_key
    assert bench.letters() == []
