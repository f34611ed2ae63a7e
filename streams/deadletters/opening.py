"""Opens letters for people: reads them from their dlq, and decodes what can be decoded. Blocks; any thread may call."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from confluent_kafka import Message

from streams.config import Settings
from streams.deadletters.asking import append
from streams.deadletters.letter import Position, Record, rfc3339
from streams.deadletters.requests import Request
from streams.engine.dead_letters import ERROR
from streams.engine.record_reader import RecordReader
from streams.errors import InvalidMessage
from streams.messages.codec import Codec
from streams.messages.contracts import Contracts
from streams.messages.json_values import to_json
from streams.messages.key_text import text_of
from streams.messages.registry import Registry

_READ_S = 5.0


@dataclass(frozen=True, slots=True)
class OpenedLetter:
    """What is in a letter.

    Args:
        headers: in order, values as text; None where there is none.
        value: as it is.
        payload: as JSON; None where it cannot be decoded.
        contract: of the payload.
        refusal: why the payload cannot be decoded; empty where it was.
        stacktrace: of the failure.
        timestamp: of the record that failed.
    """

    headers: tuple[tuple[str, str | None], ...]
    value: bytes | None
    payload: object
    contract: str | None
    refusal: str
    stacktrace: str
    timestamp: str


class LetterDesk:
    """Reads letters, and passes requests about them on.

    Args:
        settings: where Kafka is.
        contracts: newest versions.
        open_registry: opens the registry; called when the first letter is opened.
    """

    def __init__(self, settings: Settings, contracts: Contracts, open_registry: Callable[[], Registry]) -> None:
        self._settings = settings
        self._contracts = contracts
        self._open_registry = open_registry
        self._registry: Registry | None = None
        self._reader = RecordReader(settings)
        self._lock = threading.Lock()

    def open(self, position: Position) -> OpenedLetter | None:
        """The letter at a position; None where its dlq does not have it any more.

        Raises:
            NotReachable: Kafka or the registry did not answer.
        """
        with self._lock:
            found = self._reader.read(*position, _READ_S)
            return None if found is None else opened(found, self._codec())

    def append(self, requests: Iterable[Request]) -> int:
        """Append requests for the stage; returns how many.

        Raises:
            NotReachable: Kafka did not take them.
        """
        return append(self._settings, requests)

    def _codec(self) -> Codec:
        if self._registry is None:
            self._registry = self._open_registry()
        return Codec(self._contracts, self._registry.all())


def opened(record: Record | Message, codec: Codec) -> OpenedLetter:
    """What is in a letter's record."""
    headers: list[tuple[str, bytes | None]] = list(record.headers() or ())  # type: ignore[arg-type]  # bytes when consumed
    by_name = dict(headers)
    value = record.value()
    payload, contract, refusal = None, None, "the record has no value"
    if value is not None:
        try:
            contract, decoded = codec.decode(value, by_name)
            payload, refusal = to_json(decoded), ""
        except InvalidMessage as error:
            refusal = str(error)
    return OpenedLetter(
        headers=tuple((name, None if content is None else text_of(content)) for name, content in headers),
        value=value,
        payload=payload,
        contract=contract,
        refusal=refusal,
        stacktrace=(by_name.get(ERROR + "stacktrace") or b"").decode("utf-8", "replace"),
        timestamp=rfc3339(max(record.timestamp()[1], 0)),
    )
