import asyncio
import time

import pytest

from streams.engine.owners import Owner, Owners
from streams.engine.stage import StageSpec
from streams.errors import NotReachable
from streams.web.directory import OWNERS_SECONDS, Directory
from streams.web.refusals import Refusal
from tests.unit.web.memory import ORDERS


class Kafka:
    """Answers, hangs or fails, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.hangs = False
        self.fails = False
        self.owner = "http://a"
        self.now = 0.0
        self.directory = Directory(self.owners, self.count, lambda: self.now)

    async def owners(self, _spec: StageSpec) -> Owners:
        asked_at, owner = self.now, self.owner
        await self._answer()
        return Owners(asked_at, {0: Owner(owner, "m-1")}, frozenset({"m-1"}))

    async def count(self, _topic: str) -> int:
        await self._answer()
        return 4

    async def _answer(self) -> None:
        self.asked += 1
        await asyncio.sleep(3600 if self.hangs else 0)
        if self.fails:
            raise NotReachable("no broker answers")


async def url_of(kafka: Kafka, asked_after: float | None = None) -> str:
    return (await kafka.directory.owners(ORDERS, asked_after)).by_partition[0].url


def test_who_needs_to_know_it_as_of_now_gets_no_older_answer() -> None:
    async def scenario() -> None:
        kafka = Kafka()
        assert await url_of(kafka) == "http://a"
        kafka.owner, kafka.now = "http://b", 0.2
        under_way = asyncio.ensure_future(url_of(kafka, 0.2))
        for _turn in range(3):
            await asyncio.sleep(0)  # until its question is on its way
        kafka.owner, kafka.now = "http://c", 0.4
        assert await url_of(kafka, 0.4) == "http://c"
        assert await under_way in {"http://b", "http://c"}
        assert await url_of(kafka, 0.3) == "http://c"
        assert kafka.asked == 3

    asyncio.run(scenario())


def test_owners_are_remembered_for_a_moment_and_until_they_prove_wrong() -> None:
    async def scenario() -> None:
        kafka = Kafka()
        assert await url_of(kafka) == "http://a"
        kafka.owner = "http://b"
        assert await url_of(kafka) == "http://a"
        kafka.directory.forget(ORDERS)
        assert await url_of(kafka) == "http://b"
        kafka.owner = "http://c"
        kafka.now = OWNERS_SECONDS + 1
        assert await url_of(kafka) == "http://c"

    asyncio.run(scenario())


def test_the_partition_count_is_asked_for_once() -> None:
    async def scenario() -> None:
        kafka = Kafka()
        assert {await kafka.directory.partitions(ORDERS) for _ in range(3)} == {4}
        assert kafka.asked == 1

    asyncio.run(scenario())


def test_many_who_ask_at_once_wait_for_one_answer_together_even_when_none_comes() -> None:
    async def scenario() -> None:
        kafka = Kafka()
        kafka.hangs = True
        began = time.monotonic()
        asking = [kafka.directory.owners(ORDERS) for _ in range(50)]
        refused = await asyncio.gather(*asking, return_exceptions=True)
        assert all(isinstance(each, Refusal) and "no answer in time" in str(each) for each in refused)
        assert kafka.asked == 1
        assert time.monotonic() - began < 4

    asyncio.run(scenario())


def test_one_who_leaves_does_not_spoil_it_for_the_others() -> None:
    async def scenario() -> None:
        kafka = Kafka()
        first = asyncio.ensure_future(kafka.directory.partitions(ORDERS))
        second = asyncio.ensure_future(kafka.directory.partitions(ORDERS))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == 4

    asyncio.run(scenario())


def test_a_failure_is_told_and_not_remembered() -> None:
    async def scenario() -> None:
        kafka = Kafka()
        kafka.fails = True
        with pytest.raises(Refusal, match="no broker answers"):
            await kafka.directory.partitions(ORDERS)
        kafka.fails = False
        assert await kafka.directory.partitions(ORDERS) == 4

    asyncio.run(scenario())
