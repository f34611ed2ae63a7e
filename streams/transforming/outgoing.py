"""A message that is made of another: its id, attributes, headers and key (design, section 3).

The same source message makes the same id in every rerun and redrive. Its time stays the source's, from which a ttl
that is carried on still counts; who reads it finds what caused it, and the conversation that it belongs to.
"""

from collections.abc import Callable
from typing import Final, Protocol

from streams.messages import headers as names
from streams.messages.contracts import Contract
from streams.messages.encryption import Payload
from streams.messages.framing import SCHEMA_HEADER
from streams.messages.headers import message_id
from streams.messages.keys import ReadKey, compile_key
from streams.messages.registry import Registered
from streams.routing.admission import Headers, RawHeaders
from streams.topology.model import Topology

MadeHeaders = list[tuple[str, bytes | None]]

# Of the message contract's headers only these are the new message's too; headers of others pass untouched.
CARRIED_ON: Final = frozenset({names.PRIORITY, names.TTL, names.SAGA, names.TRACEPARENT, names.TRACESTATE})
REPLACED: Final = (names.KNOWN - CARRIED_ON) | {SCHEMA_HEADER}  # the new value has its id in front


class Dress(Protocol):
    """Key, id and headers of what is made of a source message."""

    def __call__(
        self, source_key: bytes | None, raw: RawHeaders, headers: Headers, payload: Payload, index: int = 0
    ) -> tuple[bytes | None, str, MadeHeaders]:
        """Key, id and headers.

        Args:
            source_key: of the source.
            raw: the source's headers as they came.
            headers: by name, with its attributes.
            payload: what was made.
            index: which one of several that are made of one source.

        Raises:
            InvalidMessage: the payload lacks the key that `contracts:` names.
        """


def fixed_headers(stage: str, target: Contract, version: Registered) -> MadeHeaders:
    """What is the same in all messages of one contract that a stage makes."""
    return [
        (names.SPECVERSION, names.SPECVERSION_1),
        (names.TYPE, target.name.encode()),
        (names.SOURCE, f"headrace/{stage}".encode()),
        (names.DATA_SCHEMA, f"{version.subject}/{version.version}".encode()),
        (names.CONTENT_TYPE, names.AVRO),
    ]


def key_reader(target: Contract, topology: Topology) -> ReadKey | None:
    """Reader of the key that `contracts:` names for messages of a contract; None where it names none.

    Raises:
        UsageError: that key is no field of a payload.
    """
    settings = topology.contracts.get(target.name) or topology.contracts.get(target.full_name)
    return compile_key(target, settings.key) if settings else None


def compile_dress(stage: str, target: Contract, version: Registered, destination: str, topology: Topology) -> Dress:
    """The dress of messages of `target` that `stage` makes for `destination`.

    Raises:
        UsageError: the key that `contracts:` names is no field of a payload.
    """
    key_of = _keying(key_reader(target, topology))
    rule = f"{stage}:{target.full_name}:{destination}"
    fixed = fixed_headers(stage, target, version)

    def dress(
        source_key: bytes | None, raw: RawHeaders, headers: Headers, payload: Payload, index: int = 0
    ) -> tuple[bytes | None, str, MadeHeaders]:
        key, subject = key_of(source_key, headers, payload)
        source_id = headers[names.ID] or b""
        made_id = message_id(source_id.decode(), rule, index)
        made = [
            *fixed,
            (names.ID, made_id.encode()),
            (names.TIME, headers[names.TIME]),
            (names.CORRELATION_ID, headers.get(names.CORRELATION_ID) or source_id),
            (names.CAUSATION_ID, source_id),
        ]
        if subject:
            made.append((names.SUBJECT, subject))
        made += [header for header in raw if header[0] not in REPLACED]
        return key, made_id, made

    return dress


def _keying(
    read_key: ReadKey | None,
) -> Callable[[bytes | None, Headers, Payload], tuple[bytes | None, bytes | None]]:
    """Key and subject: the field that the contract's settings name, else those of the source."""
    if read_key is None:
        return lambda source_key, headers, _payload: (source_key, headers.get(names.SUBJECT) or text_key(source_key))

    def read(_key: bytes | None, _headers: Headers, payload: Payload) -> tuple[bytes, bytes]:
        key = read_key(payload)
        return key, key

    return read


def text_key(key: bytes | None) -> bytes | None:
    """The key where it can be a subject: a header of the contract has to be UTF-8."""
    try:
        return key if key and key.decode() else None
    except UnicodeDecodeError:
        return None
