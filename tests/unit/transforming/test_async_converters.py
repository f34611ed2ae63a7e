"""Converters that have to be awaited: the same checks, a time limit, and a clear word where a stage cannot run them."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from streams.errors import Category, ConfigurationRefused, RecordError, TransformationFailed, TransientError
from streams.transforming import chains, stage
from streams.transforming.chains import HopTimes
from streams.transforming.converters import Converters
from streams.transforming.transformer import CompiledTransformer
from tests.unit.transforming.partners import MAPPING, TO_ORDER, V1, Batch, avro, headers, message, transformer

ORDER = {"order_id": "ORD-1", "total": Decimal("19.99"), "pieces": 5}


def awaiting(made: Any, seconds: float = 0.0) -> CompiledTransformer:
    """A transformer whose second hop waits and then makes, or raises, `made`."""
    converters = Converters()

    @converters.register("v2", "order")
    async def to_order(_payload: dict[str, Any]) -> Any:
        await asyncio.sleep(seconds)
        if isinstance(made, Exception):
            raise made
        return made

    return transformer("in", MAPPING + TO_ORDER, converters)


def outcome(compiled: CompiledTransformer, times: HopTimes | None = None) -> list[Any]:
    batch = Batch()
    asyncio.run(compiled.bind_async(batch, times or HopTimes())(message(avro("v1", V1), headers("v1"))))  # type: ignore[arg-type]
    return batch.out


def failure(compiled: CompiledTransformer) -> RecordError:
    with pytest.raises(RecordError) as caught:
        outcome(compiled)
    return caught.value


def test_plain_and_awaited_hops_follow_one_another() -> None:
    times = HopTimes()
    (made,) = outcome(awaiting(ORDER), times)
    assert made[2] == b"ORD-1"
    assert set(times.seconds) == {"v1 -> v2", "v2 -> order"}


def test_one_that_takes_too_long_is_a_transient_failure_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains, "LONGEST_ASYNC_S", 0.02)
    error = failure(awaiting(ORDER, seconds=60))
    assert isinstance(error, TransformationFailed)
    assert (error.hop, error.category) == ("v2 -> order", Category.TRANSIENT)
    assert "took more than 0.02 s" in str(error)


def test_what_it_makes_or_raises_is_judged_as_of_a_plain_one() -> None:
    assert "pieces: missing" in str(failure(awaiting({"order_id": "x", "total": Decimal(1)})))
    assert "raised KeyError: 'sku'" in str(failure(awaiting(KeyError("sku"))))
    away = TransientError("away")
    assert failure(awaiting(away)) is away
    # A timeout of its own is no limit of ours.
    assert failure(awaiting(TimeoutError("own"))).category == Category.UNKNOWN


def test_a_stage_refuses_them_at_the_start() -> None:
    stage._require_plain("in", transformer("in", MAPPING + TO_ORDER))
    with pytest.raises(ConfigurationRefused, match="transformations of in: a converter on their path is an async def"):
        stage._require_plain("in", awaiting(ORDER))
