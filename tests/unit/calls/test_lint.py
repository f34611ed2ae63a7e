"""Calls that cannot work are found before a worker starts, and stages read and write what they should."""

import pytest

from streams.calls.lint import lint
from streams.calls.stage import call_specs
from tests.unit.calls.payments import AGGREGATES, CALL, TOPICS, contracts, topology


def findings(text: str) -> list[str]:
    return [each.message for each in lint(topology(text), contracts())]


def test_calls_on_events_and_on_declared_topics_are_sound() -> None:
    assert findings(AGGREGATES + CALL) == findings(TOPICS + CALL) == []
    assert findings(TOPICS + AGGREGATES + CALL.replace("on:", "source: requests\n    on:")) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CALL, "no topic carries PaymentRequested"),
        (AGGREGATES + CALL.replace("on: P", "on: P", 1).replace("Requested", "Requestd"), "no contract"),
        (AGGREGATES + CALL.replace("RecordCharge", "RecordCharg"), "did you mean 'RecordCharge'?"),
        (AGGREGATES + CALL + "    timeout: 7s\n", "timeout of 7 s; a call has to end within its cycle's transaction"),
        (AGGREGATES + CALL.replace("/charges", '/charges, idempotency_header: "a b"'), "'a b' as the name of a header"),
        (AGGREGATES.replace("partitions: 4", "partitions: 2", 1) + CALL, "orders.events 2, payments.events 4"),
        (TOPICS.replace("shop.RecordDecline", "OrderPlaced") + CALL, "RecordDecline of 'requests' goes to no topic"),
        (TOPICS + "  more: {partitions: 2, contracts: [RecordCharge]}\n" + CALL, "goes to results or more"),
        (TOPICS + AGGREGATES + CALL.replace("on:", "source: results\n    on:"), "not PaymentRequested"),
        (TOPICS + CALL.replace("RecordCharge", "OrderPlaced"), "messages would circle"),
        ("contracts: {RecordCharge: {key: payload.id}}\n" + AGGREGATES + CALL, "no field 'payload.id' in RecordCharge"),
    ],
)
def test_what_cannot_work_is_found(text: str, said: str) -> None:
    assert any(said in message for message in findings(text)), findings(text)


def test_a_stage_reads_the_events_of_all_aggregates_and_answers_each() -> None:
    (spec,) = call_specs(topology(AGGREGATES + CALL))
    assert (spec.name, spec.read_by_agents) == ("calls.gateway", ("orders.events", "payments.events"))
    assert spec.destinations == {"orders.commands", "payments.commands"}
    assert spec.retries is not None


def test_a_named_source_is_the_only_one() -> None:
    (spec,) = call_specs(topology(AGGREGATES + CALL.replace("on:", "source: payments.events\n    on:")))
    assert spec.read_by_agents == ("payments.events",)
    assert spec.destinations == {"payments.commands"}


def test_the_failure_policy_of_the_stage_holds() -> None:
    text = 'failures: {stages: {"calls.gateway": {order: none, retries: 7}}}\n'
    (spec,) = call_specs(topology(text + TOPICS + CALL))
    assert spec.retries is not None
    assert (spec.retries.order, spec.retries.retries) == ("none", 7)
