import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, generate_latest

from streams.telemetry import metrics
from streams.telemetry.histogram import Buckets, Histogram

BOUNDS = (0.1, 0.5, 1.0)
seconds = st.lists(st.one_of(st.floats(0, 2), st.sampled_from(BOUNDS)))


def exposed() -> Iterator[str]:
    for value in vars(metrics).values():
        if isinstance(value, Counter | Gauge | Histogram):
            yield next(iter(value.describe())).name


@given(seconds, seconds)
def test_a_batch_counts_like_its_values_one_by_one(first: list[float], second: list[float]) -> None:
    batched, single = Buckets(BOUNDS), Buckets(BOUNDS)
    batched.observe_many(first)
    batched.observe_many(second)
    for value in first + second:
        single.observe(value)
    assert batched.read()[0] == single.read()[0]
    assert batched.read()[1] == pytest.approx(single.read()[1])


@given(seconds)
def test_a_bucket_holds_all_values_up_to_its_bound(values: list[float]) -> None:
    buckets = Buckets(BOUNDS)
    buckets.observe_many(values)
    assert buckets.read()[0] == [sum(v <= bound for v in values) for bound in (*BOUNDS, float("inf"))]


def test_a_histogram_is_exposed_as_prometheus_expects() -> None:
    registry = CollectorRegistry()
    histogram = Histogram("took_seconds", "Took.", ["stage"], bounds=BOUNDS, registry=registry)
    histogram.labels("router").observe_many([0.05, 0.2, 3.0])
    text = generate_latest(registry).decode()
    assert 'took_seconds_bucket{le="0.1",stage="router"} 1.0' in text
    assert 'took_seconds_bucket{le="+Inf",stage="router"} 3.0' in text
    assert 'took_seconds_count{stage="router"} 3.0' in text
    assert 'took_seconds_sum{stage="router"} 3.25' in text


def test_the_wrong_number_of_labels_is_refused() -> None:
    histogram = Histogram("x_seconds", "X.", ["stage"], registry=CollectorRegistry())
    with pytest.raises(ValueError, match="expected labels"):
        histogram.labels("router", "more")


def test_every_metric_has_the_prefix_and_a_line_in_the_reference() -> None:
    page = Path(__file__, "../../../../docs/reference/metrics.md").resolve().read_text()
    documented = set(re.findall(r"^\| `(headrace_\w+?)(?:_total)?`", page, re.MULTILINE))
    assert set(exposed()) == documented


def test_a_stage_is_in_one_state() -> None:
    metrics.show_stage_state("probe", "restoring")
    metrics.show_stage_state("probe", "running")
    states = {
        s.labels["state"]: s.value
        for family in REGISTRY.collect()
        for s in family.samples
        if family.name == "headrace_stage_state" and s.labels["stage"] == "probe"
    }
    assert [state for state, value in states.items() if value] == ["running"]
