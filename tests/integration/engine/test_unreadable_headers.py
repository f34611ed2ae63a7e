"""A header whose name is not UTF-8 costs one dead letter, not the process (seen: a second look at it is a SIGSEGV)."""

import asyncio

from aiokafka import AIOKafkaProducer
from confluent_kafka import Message

from streams.engine.batch import Batch
from tests.integration.engine.conftest import MakeBench
from tests.integration.engine.counting import count, counting_app
from tests.integration.engine.stages import Bench, running

NOT_UTF8 = b"\xff\xfename"


class Name(str):
    """A header's name that encodes to what no string of ours would."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        del encoding, errors
        return NOT_UTF8


async def send(bench: Bench) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bench.settings.kafka_bootstrap_servers)
    await producer.start()
    try:
        for value, headers in ((b"1", []), (b"2", [(Name("x"), b"1")]), (b"3", [])):
            await producer.send_and_wait(bench.spec.lead, value, b"k", partition=0, headers=headers)
    finally:
        await producer.stop()


def test_a_header_name_that_is_not_utf8_is_one_dead_letter(make_bench: MakeBench) -> None:
    bench = make_bench()

    def handle(batch: Batch, record: Message) -> None:
        record.headers()
        count(batch, record)

    asyncio.run(send(bench))
    with running(counting_app(bench.spec, bench.settings, handle)):
        bench.await_all_committed()
    (letter,) = bench.letters()
    assert letter.value == b"2"
    assert bench.outputs() == {b"k": [b"1:1", b"3:2"]}
