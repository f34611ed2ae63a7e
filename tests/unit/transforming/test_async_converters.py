"""Converters that have to be awaited: the same checks, a time limit, and several keys at once in a stage."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client import REGISTRY

from streams.engine import batch as engine
from streams.engine.cycle import Cycle
from streams.engine.retrying import RetryPolicy
from streams.errors import Category, RecordError, TransformationFailed, TransientError
from streams.transforming import chains
from streams.transforming.chains import HopTimes
from streams.transforming.converters import Converters
from streams.transforming.stage import CONCURRENCY, transform_batch, transformer_specs
from streams.transforming.transformer import CompiledTransformer
from tests.unit.transforming.partners import MAPPING, TO_ORDER, V1, Batch, avro, headers, message, topology, transformer

ORDER = {"order_id": "ORD-1", "total": Decimal("19.99"), "pieces": 5}


def awaiting(made: Any, seconds: float = 0.0) -> CompiledTransformer:
    """A transformer whose second hop waits and then makes, or raises, `made`."""

    async def to_order(_payload: dict[str, Any]) -> Any:
        await asyncio.sleep(seconds)
        if isinstance(made, Exception):
            raise made
        return made

    return with_converter(to_order)


def with_converter(function: Callable[[dict[str, Any]], Any]) -> CompiledTransformer:
    converters = Converters()
    converters.register("v2", "order")(function)
    return transformer("in", MAPPING + TO_ORDER, converters)


def outcome(compiled: CompiledTransformer, times: HopTimes | None = None) -> list[Any]:
    batch = Batch()
    handle: Any = compiled.bind_async(batch, times or HopTimes())
    asyncio.run(handle(message(avro("v1", V1), headers("v1")), batch))
    return batch.out


def failure(compiled: CompiledTransformer) -> RecordError:
    with pytest.raises(RecordError) as caught:
        outcome(compiled)
    return caught.value


def test_plain_and_awaited_hops_follow_one_another() -> None:
    times = HopTimes()
    (made,) = outcome(awaiting(ORDER), times)
    assert made[2] == b"ORD-1"
    assert set(times.made) == {"v1 -> v2", "v2 -> order"}


def test_one_that_takes_too_long_is_a_transient_failure_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains, "LONGEST_ASYNC_S", 0.02)
    error = failure(awaiting(ORDER, seconds=60))
    assert isinstance(error, TransformationFailed)
    assert (error.hop, error.category) == ("v2 -> order", Category.TRANSIENT)
    assert "was not done within the 0.02 s that a message has" in str(error)


def test_what_it_makes_or_raises_is_judged_as_of_a_plain_one() -> None:
    assert "pieces: missing" in str(failure(awaiting({"order_id": "x", "total": Decimal(1)})))
    assert "raised KeyError: 'sku'" in str(failure(awaiting(KeyError("sku"))))
    away = TransientError("away")
    assert failure(awaiting(away)) is away
    # A timeout of its own is no limit of ours.
    assert failure(awaiting(TimeoutError("own"))).category == Category.UNKNOWN


def batch_of(count: int) -> engine.Batch:
    """Messages ORD-0 ... of two keys, and of none."""
    records: Any = [
        message(
            avro("v1", {**V1, "ref": f"ORD-{n}"}), headers("v1"), key=(b"a", b"b", None)[n % 3], offset=n
        )
        for n in range(count)
    ]  # fmt: skip
    known = {"orders": 4, "letters": 4}
    return engine.Batch("in", 1, records, stage="t", dead_letters="letters", known_topics=known, cycle=Cycle({}))


def test_a_stage_awaits_several_keys_at_once_and_keeps_the_order_of_each() -> None:
    at_once: list[int] = []
    running: set[str] = set()

    async def to_order(payload: dict[str, Any]) -> dict[str, Any]:
        running.add(payload["ref"])
        at_once.append(len(running))
        number = int(payload["ref"].removeprefix("ORD-"))
        await asyncio.sleep(0.002 * (7 - number % 7))
        running.remove(payload["ref"])
        return {**ORDER, "order_id": payload["ref"]}

    batch = batch_of(30)
    asyncio.run(transform_batch(batch, with_converter(to_order), "t"))
    made = [int((key or b"").removeprefix(b"ORD-")) for _, _, key, *_ in batch.out]
    assert sorted(made) == list(range(30))
    for of_key in (0, 1):
        assert [n for n in made if n % 3 == of_key] == list(range(of_key, 30, 3))
    assert 2 <= max(at_once) <= CONCURRENCY


def test_conversions_are_counted_of_messages_whose_handling_stood() -> None:
    async def to_order(payload: dict[str, Any]) -> dict[str, Any]:
        if payload["ref"] == "ORD-1":
            raise ValueError("a bug")
        return {**ORDER, "order_id": payload["ref"]}

    batch = batch_of(4)
    asyncio.run(transform_batch(batch, with_converter(to_order), "counted"))
    for call in batch.callbacks:
        call(0.0)
    assert batch.buried == {1}
    for hop in ("v1 -> v2", "v2 -> order"):
        assert REGISTRY.get_sample_value("headrace_hops_total", {"stage": "counted", "hop": hop}) == 3
    failed = {"stage": "counted", "hop": "v2 -> order"}
    assert REGISTRY.get_sample_value("headrace_hop_failures_total", failed) == 1


def test_a_transformer_retries_as_the_topology_says() -> None:
    (spec,) = transformer_specs(topology(TO_ORDER + "failures: {stages: {transformer: {retries: 7, order: none}}}\n"))
    assert isinstance(spec.retries, RetryPolicy)
    assert (spec.retries.retries, spec.retries.order) == (7, "none")
    assert spec.read_by_agents == ("in",)
    assert spec.sources == ("in", "headrace.transformer.redrive")
