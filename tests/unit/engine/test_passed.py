import asyncio
import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from streams.engine.passed import Passed
from streams.engine.stage import TP

TPS = [TP(topic, p) for topic in ("lead", "follow") for p in range(2)]
OFFSETS = st.dictionaries(st.sampled_from(TPS), st.integers(0, 5), min_size=1)


@given(OFFSETS, OFFSETS)
def test_a_record_is_passed_when_the_next_offset_is_beyond_it(
    next_offsets: dict[TP, int], asked: dict[TP, int]
) -> None:
    passed = Passed()
    passed.advance(next_offsets)
    beyond = all(next_offsets.get(tp, 0) > offset for tp, offset in asked.items())
    assert asyncio.run(passed.wait(asked, 0)) == beyond
    for tp in TPS:
        last = passed.last(tp)
        assert last == (next_offsets[tp] - 1 if tp in next_offsets else None)
        assert last is None or asyncio.run(passed.wait({tp: last}, 0))


def test_who_waits_is_told_from_another_thread_and_only_when_all_is_passed() -> None:
    passed = Passed()
    passed.advance(dict.fromkeys(TPS, 3))

    async def scenario() -> None:
        waiting = asyncio.ensure_future(passed.wait({TPS[0]: 3, TPS[1]: 4}, 10))
        await asyncio.sleep(0)
        for tp, offset in ((TPS[0], 4), (TPS[1], 4), (TPS[1], 5)):
            assert not waiting.done()
            thread = threading.Thread(target=passed.advance, args=({tp: offset},))
            thread.start()
            thread.join()
            await asyncio.sleep(0.01)
        assert await waiting

    asyncio.run(scenario())


def test_a_wait_ends_when_time_is_up_or_the_partition_moves_away() -> None:
    passed = Passed()
    passed.advance(dict.fromkeys(TPS, 3))

    async def scenario() -> None:
        assert not await passed.wait({TPS[0]: 3}, 0.01)
        waiting = asyncio.ensure_future(passed.wait({TP("lead", 1): 3}, 10))
        await asyncio.sleep(0)
        began = time.monotonic()
        passed.forget({1})
        assert not await waiting
        assert not await passed.wait({TP("lead", 1): 0}, 10)
        assert await passed.wait({TP("lead", 0): 2}, 0)
        assert time.monotonic() - began < 5

    asyncio.run(scenario())
