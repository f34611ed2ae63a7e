"""From an intent and an answer to the command that carries the outcome back, without a broker."""

import asyncio
from decimal import Decimal
from typing import Any

import orjson
import pytest
from aiohttp import web

from streams.calls.results import fields_of_intent
from streams.calls.stage import Calling
from streams.engine.batch import Batch
from streams.engine.concurrency import RecordScope
from streams.engine.cycle import Cycle
from streams.errors import InvalidMessage, MessageExpired
from streams.messages import headers as names
from streams.messages.codec import Codec
from streams.messages.contracts import contract_from
from streams.messages.headers import message_id
from tests.unit.calls.payments import AGGREGATES, CALL, TOPICS, Registry, contracts, event, peer, topology
from tests.unit.transforming.partners import record_of

PAYMENT = {"order_id": "ORD-1", "amount": Decimal("19.90"), "card": None}
CHARGE = {"order_id": "ORD-1", "charge_id": "c-1", "amount": "19.90"}
SOURCES = ("orders.events", "payments.events")


TOPIC_PARTITIONS = {"orders.commands": 4, "payments.commands": 4, "results": 2}


def outcome(
    record: Any,
    status: int = 200,
    answer: Any = None,
    *,
    text: str = AGGREGATES + CALL,
    source: str = "payments.events",
    sources: tuple[str, ...] = SOURCES,
) -> tuple[list[tuple[Any, ...]], list[tuple[bytes, dict[str, str]]]]:
    """What one record makes: outputs, and requests to the peer."""
    asked: list[tuple[bytes, dict[str, str]]] = []

    async def gateway(request: web.BaseRequest) -> web.StreamResponse:
        asked.append((await request.read(), dict(request.headers)))
        return web.Response(status=status, body=orjson.dumps(CHARGE if answer is None else answer))

    async def run() -> list[tuple[Any, ...]]:
        async with peer(gateway) as url:
            loaded = topology(text.replace("http://127.0.0.1:1", url))
            calling = Calling(loaded.calls[0], loaded, contracts())
            calling.compile(Registry(), sources)  # type: ignore[arg-type]  # the part of a registry that is asked
            batch = Batch(
                source, 0, [record], stage="calls.gateway", dead_letters="letters", known_topics=TOPIC_PARTITIONS,
                cycle=Cycle({}),
            )  # fmt: skip
            scope = RecordScope(batch)
            async with calling.caller:
                await calling.make(record, scope, source)
            return [(topic, value, key, headers) for topic, value, key, _, _, headers in scope.out]

    return asyncio.run(run()), asked


def decoded(value: bytes) -> tuple[str, dict[str, Any]]:
    return Codec(contracts(), Registry().all()).decode(value)


def test_a_success_is_the_command_back_to_the_aggregate_that_asked() -> None:
    ((made,), asked) = outcome(event("PaymentRequested", PAYMENT))
    topic, value, key, raw = made
    assert (topic, key) == ("payments.commands", b"ORD-1")
    assert decoded(value) == ("RecordCharge", {**CHARGE, "amount": Decimal("19.90")})
    headers = dict(raw)
    assert headers[names.ID].decode() == message_id("e-7", "calls.gateway:shop.RecordCharge")
    assert (headers[names.TYPE], headers[names.SOURCE]) == (b"RecordCharge", b"headrace/calls.gateway")
    assert (headers[names.CAUSATION_ID], headers[names.CORRELATION_ID]) == (b"e-7", b"conversation")
    assert (headers[names.SUBJECT], headers[names.SAGA], headers["x-mine"]) == (b"ORD-1", b"fulfil/1/s-1", b"\xff")
    assert names.AGGREGATE_VERSION not in headers
    assert len(headers) == len(raw)
    ((body, request),) = asked
    assert orjson.loads(body) == {"order_id": "ORD-1", "amount": "19.90", "card": None}
    assert request["Idempotency-Key"] == "e-7"
    assert request["Content-Type"] == "application/json"


def test_a_refusal_is_the_other_command_and_takes_what_it_lacks_from_the_intent() -> None:
    ((made,), _) = outcome(event("PaymentRequested", PAYMENT), 402, {"reason": "no money"})
    assert decoded(made[1]) == ("RecordDecline", {"order_id": "ORD-1", "reason": "no money"})
    ((made,), _) = outcome(event("PaymentRequested", PAYMENT), 400, [])
    assert decoded(made[1]) == ("RecordDecline", {"order_id": "ORD-1", "reason": "declined"})


def test_what_an_answer_has_beyond_the_contract_is_left_out_and_what_does_not_fit_is_refused() -> None:
    ((made,), _) = outcome(event("PaymentRequested", PAYMENT), 200, {**CHARGE, "links": {"self": "/c-1"}})
    assert set(decoded(made[1])[1]) == set(CHARGE)
    with pytest.raises(InvalidMessage, match=r"^the answer does not make a RecordCharge: charge_id: "):
        outcome(event("PaymentRequested", PAYMENT), 200, {**CHARGE, "charge_id": 7})
    with pytest.raises(InvalidMessage, match=r"charge_id: missing"):
        outcome(event("PaymentRequested", PAYMENT), 200, {"order_id": "ORD-1"})


def test_other_events_and_erased_ones_are_passed_over() -> None:
    assert outcome(event("OrderPlaced", {"order_id": "ORD-1"}), source="orders.events") == ([], [])
    assert outcome(event("PaymentRequested", None)) == ([], [])
    assert outcome(event("PaymentRequested", None, ce_type=None, ce_id=None)) == ([], [])


def test_a_trace_goes_on_and_what_http_cannot_carry_is_refused() -> None:
    _, ((_, request),) = outcome(event("PaymentRequested", PAYMENT, traceparent=b"00-aa-bb-01"))
    assert request["traceparent"] == "00-aa-bb-01"
    with pytest.raises(InvalidMessage, match=r"^header ce_id: expected text that HTTP can carry"):
        outcome(event("PaymentRequested", PAYMENT, ce_id=b"a\r\nX-Other: b"))


def test_an_intent_that_came_too_late_is_not_asked_for_and_a_result_has_no_ttl() -> None:
    with pytest.raises(MessageExpired):
        outcome(event("PaymentRequested", PAYMENT, ttl=b"1", ce_time=b"2020-01-15T07:59:59Z"))
    ((made,), _) = outcome(event("PaymentRequested", PAYMENT, ttl=b"1000000000"))
    assert names.TTL not in dict(made[3])
    assert dict(made[3])[names.TIME] > b"2026"


def test_without_aggregates_declared_topics_carry_intents_and_results() -> None:
    record = event("PaymentRequested", PAYMENT, key=b"ORD-1", topic="requests", ce_subject=None)
    text, place = TOPICS + CALL, {"source": "requests", "sources": ("requests",)}
    ((made,), _) = outcome(record, text=text, **place)  # type: ignore[arg-type]  # of two types
    assert (made[0], made[2]) == ("results", b"ORD-1")
    assert outcome(event("OrderPlaced", {"order_id": "1"}, topic="requests"), text=text, **place) == ([], [])  # type: ignore[arg-type]
    keyed = "contracts: {RecordDecline: {key: payload.reason}}\n"
    ((made,), _) = outcome(record, 400, {"reason": "r"}, text=keyed + text, **place)  # type: ignore[arg-type]
    assert (made[2], dict(made[3])[names.SUBJECT]) == (b"r", b"r")


def test_what_is_tagged_in_an_intent_is_not_copied_into_its_result() -> None:
    wanted = contract_from(record_of("Done", {"order_id": "string", "email": "string", "note": "string"}))
    assert fields_of_intent(wanted, contracts()["Tagged"]) == {"order_id"}


def test_an_intent_of_nobody_is_refused() -> None:
    with pytest.raises(InvalidMessage, match="which says whose intent this is"):
        outcome(event("PaymentRequested", PAYMENT, key=None, ce_subject=None))
