"""Makes requests to one peer: pooled connections, a timeout, repetitions as far as time allows, a circuit breaker.

A call that gets no settling answer raises PeerUnavailable; the stage's failure policy parks it and tries again.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_exponential_jitter
from tenacity.stop import stop_base

from streams.calls.breaker import CircuitBreaker
from streams.calls.outcomes import Answer, Outcome, PeerUnavailable, settled
from streams.calls.timing import Timing
from streams.errors import InvalidMessage
from streams.telemetry import metrics

MOST_BODY_BYTES = 1 << 20
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.5  # five requests and their pauses fit into a second


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom a call asks, and how.

    Args:
        method: of the requests.
        url: whole, with the path.
        asked: what is asked for in errors and logs, without the address, which may hold a password.
    """

    method: str
    url: str
    asked: str


class Caller:
    """A context manager: one pool of connections for all agents of a stage, open while one of them is inside.

    Args:
        stage: name for the metrics.
        peer: whom to ask.
        timing: how long it may take.
        retries: requests after the first.
        breaker: of this peer.
    """

    def __init__(self, stage: str, peer: Peer, timing: Timing, retries: int, breaker: CircuitBreaker) -> None:
        self._stage = stage
        self._peer = peer
        self._timing = timing
        self._retries = retries
        self._breaker = breaker
        self._session: aiohttp.ClientSession | None = None
        self._inside = 0

    async def __aenter__(self) -> Self:
        """Open the pool, unless another agent has."""
        self._inside += 1
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # each_async bounds how many there are; cookies would be shared between conversations
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._timing.request_s),
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the pool after the last agent."""
        self._inside -= 1
        if not self._inside and self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def ask(self, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """The answer that settles a call.

        Raises:
            PeerUnavailable: none came in time, or the circuit is open.
            InvalidMessage: the answer is larger than a message may be.
        """
        attempts = AsyncRetrying(
            stop=stop_after_attempt(self._retries + 1) | _OutOfTime(self._timing),
            wait=wait_exponential_jitter(multiplier=_FIRST_PAUSE_S, max=_LONGEST_PAUSE_S, jitter=_FIRST_PAUSE_S),
            retry=retry_if_exception(_helps_at_once),
            reraise=True,
        )
        answer: Answer = await attempts(self._request, body, headers)
        return answer

    async def _request(self, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        if not self._breaker.admits(time.monotonic()):
            metrics.CALLS.labels(self._stage, Outcome.REFUSED).inc()
            raise PeerUnavailable(f"{self._peer.asked}: not asked, its circuit is open", at_once=False)
        began = time.monotonic()
        try:
            answer = await self._answer(body, headers)
        except PeerUnavailable:
            self._breaker.failed(time.monotonic())
            self._observe(Outcome.TRANSIENT, began)
            raise
        self._breaker.succeeded()
        self._observe(answer.outcome, began)
        return answer

    async def _answer(self, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        assert self._session is not None  # noqa: S101 asked only inside
        peer = self._peer
        try:
            async with self._session.request(
                peer.method, peer.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                return settled(response.status, await _bounded_body(response), peer.asked)
        except TimeoutError:
            raise PeerUnavailable(f"{peer.asked}: no answer in {self._timing.request_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise PeerUnavailable(f"{peer.asked}: {type(error).__name__}") from error

    def _observe(self, outcome: Outcome, began: float) -> None:
        metrics.CALLS.labels(self._stage, outcome).inc()
        metrics.CALL_DURATION.labels(self._stage).observe(time.monotonic() - began)
        metrics.CALL_CIRCUIT_OPEN.labels(self._stage).set(self._breaker.is_open)


class _OutOfTime(stop_base):
    """No further request is made that might end after the call's time."""

    def __init__(self, timing: Timing) -> None:
        self._request_s = timing.request_s
        self._end = time.monotonic() + timing.call_s

    def __call__(self, retry_state: RetryCallState) -> bool:
        return time.monotonic() + retry_state.upcoming_sleep + self._request_s > self._end


def _helps_at_once(error: BaseException) -> bool:
    return isinstance(error, PeerUnavailable) and error.at_once


async def _bounded_body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            raise InvalidMessage(f"the answer {response.status}: expected at most {MOST_BODY_BYTES} bytes, got more")
    return bytes(body)
