"""Asks another worker, once: bounded in time and size, with the caller's token, following no redirects."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from streams.engine.stage import TP
from streams.web.directory import HOP_SECONDS
from streams.web.positions import MIN_POSITION, text_of_positions
from streams.web.refusals import unavailable

FORWARDED = "Headrace-Forwarded"  # the asking worker's address; whoever gets it forwards no further
PARTITIONS = "Headrace-Partitions"  # which partitions the asking worker wants answered, all or none of them
WAIT_SECONDS = 5.0  # how long a worker waits for Min-Position
MAX_ANSWER_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reading request is, apart from the table: how to pass it on, and whether that has been done.

    Args:
        target: path and query.
        forwarded: another worker asks.
        partitions: which ones that worker wants answered.
        authorization: the caller's header.
        positions: records that the view must reflect before it is read.
    """

    target: str
    forwarded: bool = False
    partitions: tuple[int, ...] | None = None
    authorization: str | None = None
    positions: Mapping[TP, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """Another worker's answer."""

    status: int
    body: bytes


class Hop:
    """The way to other workers; open between `open` and `close`.

    Args:
        own_url: this worker's advertised address.
    """

    def __init__(self, own_url: str) -> None:
        self.own_url = own_url
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Start, on the loop that will ask."""
        # Without a limit of its own: requests that wait for a position must not keep plain reads from connections.
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    async def close(self) -> None:
        """End all connections; may be called more than once."""
        if self._session is not None:
            await self._session.close()

    async def ask(self, worker: str, asked: Asked, partitions: Iterable[int] | None = None) -> Answer:
        """Answer of `worker` (its URL) to the same request; it has more time where it may wait for a position.

        Raises:
            Refusal: 503, it did not answer in time or answered nonsense.
        """
        if self._session is None:
            raise unavailable("this worker is starting")
        try:
            async with self._session.get(
                URL(worker.rstrip("/") + asked.target, encoded=True),
                headers=self._headers(asked, partitions),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=HOP_SECONDS + (WAIT_SECONDS if asked.positions else 0)),
            ) as response:
                return Answer(response.status, await _bounded(response))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise unavailable(f"worker {worker} did not answer: {str(error) or 'no answer in time'}") from error

    def _headers(self, asked: Asked, partitions: Iterable[int] | None) -> Mapping[str, str]:
        headers = {FORWARDED: self.own_url}
        if partitions is not None:
            headers[PARTITIONS] = ",".join(map(str, sorted(partitions)))
        if asked.positions:
            headers[MIN_POSITION] = text_of_positions(asked.positions)
        if asked.authorization is not None:
            headers["Authorization"] = asked.authorization
        return headers


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise ValueError(f"more than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)
