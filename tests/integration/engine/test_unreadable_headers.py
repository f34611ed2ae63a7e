"""A header whose name is not UTF-8 costs one dead letter, not the process (seen: a second look at it is a SIGSEGV)."""

import os
import subprocess
import sys

import pytest
from confluent_kafka import Message

from streams.engine.batch import Batch
from tests.integration.engine.conftest import MakeBench
from tests.integration.engine.counting import count, counting_app
from tests.integration.engine.stages import running

# In a process of its own: only aiokafka's pure Python encoder asks the name how it is encoded.
SENDER = """
import asyncio, sys
from aiokafka import AIOKafkaProducer

class Name(str):
    def encode(self, *args):
        return bytes([0xFF, 0xFE]) + b"name"

async def send(bootstrap_servers, topic):
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers)
    await producer.start()
    for value, headers in ((b"1", []), (b"2", [(Name("x"), b"1")]), (b"3", [])):
        await producer.send_and_wait(topic, value, b"k", partition=0, headers=headers)
    await producer.stop()

asyncio.run(send(*sys.argv[1:]))
"""


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_header_name_that_is_not_utf8_is_one_dead_letter(make_bench: MakeBench, *, wrapped: bool) -> None:
    bench = make_bench()

    def handle(batch: Batch, record: Message) -> None:
        try:
            record.headers()
        except SystemError as error:
            if wrapped:
                raise ValueError("a handler's own words") from error
            raise
        count(batch, record)

    command = [sys.executable, "-c", SENDER, bench.settings.kafka_bootstrap_servers, bench.spec.lead]
    subprocess.run(command, env={**os.environ, "AIOKAFKA_NO_EXTENSIONS": "1"}, check=True, timeout=60)
    with running(counting_app(bench.spec, bench.settings, handle)):
        bench.await_all_committed()
    (letter,) = bench.letters()
    assert letter.value == b"2"
    assert bench.outputs() == {b"k": [b"1:1", b"3:2"]}
