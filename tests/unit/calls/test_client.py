"""Requests to a peer: what is repeated at once, for how long, what the breaker keeps from it, and what is counted."""

import asyncio
import time
from collections.abc import Iterable

import pytest
from aiohttp import web
from prometheus_client import REGISTRY

from streams.calls import client
from streams.calls.breaker import CircuitBreaker
from streams.calls.client import Caller, Peer
from streams.calls.outcomes import Answer, PeerUnavailable
from streams.calls.timing import Timing
from streams.errors import InvalidMessage
from tests.unit.calls.payments import Handler, never, peer

PATIENT = Timing(request_s=5, call_s=15)
HASTY = Timing(request_s=0.3, call_s=1.0)


class Gateway:
    """A peer that answers with these statuses one after the other, the last one for ever; 0: not at all."""

    def __init__(self, statuses: Iterable[int], body: bytes = b"{}") -> None:
        self.statuses = list(statuses)
        self.body = body
        self.requests: list[tuple[str, str, bytes, dict[str, str]]] = []

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append((request.method, request.path, await request.read(), dict(request.headers)))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status == 0:
            await never()
        return web.Response(status=status, body=self.body, headers={"Location": "/elsewhere"})


def asking(
    handle: Handler, times: int = 1, *, retries: int = 4, failures: int = 100, timing: Timing = PATIENT
) -> list[Answer | Exception]:
    """What comes of so many calls, one after the other."""

    async def run() -> list[Answer | Exception]:
        found: list[Answer | Exception] = []
        async with peer(handle) as url:
            caller = Caller(
                "calls.test", Peer("POST", f"{url}/charges", "POST /charges"), timing, retries,
                CircuitBreaker(failures, 60),
            )  # fmt: skip
            async with caller:
                for _ in range(times):
                    try:
                        found.append(await caller.ask(b'{"order_id": "ORD-1"}', {"Idempotency-Key": "e-7"}))
                    except (PeerUnavailable, InvalidMessage) as error:
                        found.append(error)
        return found

    return asyncio.run(run())


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("headrace_calls_total", {"stage": "calls.test", "outcome": outcome}) or 0


def test_a_request_is_made_as_told_and_its_answer_given_back() -> None:
    gateway = Gateway([201], b'{"charge_id": "c"}')
    assert asking(gateway) == [Answer(201, b'{"charge_id": "c"}')]
    ((method, path, body, headers),) = gateway.requests
    assert (method, path, body) == ("POST", "/charges", b'{"order_id": "ORD-1"}')
    assert headers["Idempotency-Key"] == "e-7"


@pytest.mark.parametrize("status", [500, 503, 408])
def test_what_is_transient_is_asked_again_at_once(status: int) -> None:
    gateway = Gateway([status, status, 200])
    assert asking(gateway) == [Answer(200, b"{}")]
    assert len(gateway.requests) == 3
    assert len({headers["Idempotency-Key"] for *_, headers in gateway.requests}) == 1


def test_a_refusal_is_an_answer_and_not_asked_again() -> None:
    gateway = Gateway([402, 200])
    assert asking(gateway) == [Answer(402, b"{}")]


def test_repetitions_end_after_the_retries() -> None:
    gateway = Gateway([500])
    (error,) = asking(gateway, retries=2)
    assert str(error) == "POST /charges: answered 500"
    assert len(gateway.requests) == 3


def test_one_that_is_asked_too_often_is_left_alone_until_the_next_cycle() -> None:
    gateway = Gateway([429, 200])
    assert str(asking(gateway)[0]) == "POST /charges: answered 429"
    assert len(gateway.requests) == 1


def test_a_redirect_is_not_followed() -> None:
    gateway = Gateway([302])
    assert str(asking(gateway, retries=0)[0]) == "POST /charges: answered 302"
    assert [path for _, path, *_ in gateway.requests] == ["/charges"]


def test_a_peer_that_hangs_costs_no_more_than_the_call_s_time() -> None:
    began = time.monotonic()
    (error,) = asking(Gateway([0]), retries=1000, timing=HASTY)
    assert str(error) == "POST /charges: no answer in 0.3 s"
    assert time.monotonic() - began < HASTY.call_s + 0.5


def test_a_connection_that_breaks_or_is_refused_is_transient() -> None:
    async def hang_up(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    assert str(asking(hang_up, retries=0)[0]) == "POST /charges: ServerDisconnectedError"


def test_failures_in_a_row_keep_further_requests_from_the_peer() -> None:
    gateway, before = Gateway([500]), counted("refused")
    found = asking(gateway, 3, retries=1, failures=2)
    assert len(gateway.requests) == 2
    assert [str(each) for each in found[1:]] == ["POST /charges: not asked, its circuit is open"] * 2
    assert counted("refused") - before == 2


def test_every_request_is_counted_by_its_outcome() -> None:
    before = {outcome: counted(outcome) for outcome in ("succeeded", "failed", "transient")}
    asking(Gateway([500, 200, 404, 429]), 3)
    assert {outcome: counted(outcome) - was for outcome, was in before.items()} == {
        "succeeded": 1,
        "failed": 1,
        "transient": 2,
    }


def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MOST_BODY_BYTES", 1000)
    (error,) = asking(Gateway([200], b"x" * 2000))
    assert str(error) == "the answer 200: expected at most 1000 bytes, got more"


def test_agents_share_one_pool_which_closes_after_the_last() -> None:
    async def run() -> None:
        gateway = Gateway([200])
        async with peer(gateway) as url:
            caller = Caller("calls.test", Peer("GET", url, "GET /"), PATIENT, 0, CircuitBreaker(5, 1))
            async with caller:
                async with caller:
                    assert (await caller.ask(None, {})).status == 200
                assert (await caller.ask(None, {})).status == 200
            async with caller:
                assert (await caller.ask(None, {})).status == 200

    asyncio.run(run())
