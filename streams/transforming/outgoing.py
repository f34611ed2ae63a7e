"""The message that a transformation makes: its id, attributes, headers and key (design, section 3).

The same source message makes the same id in every rerun and redrive. Its time stays the source's, from which a ttl
that is carried on still counts; who reads it finds what caused it, and the conversation that it belongs to.
"""

from collections.abc import Callable
from typing import Final

from streams.messages import headers as names
from streams.messages.contracts import Contract
from streams.messages.encryption import Payload
from streams.messages.framing import SCHEMA_HEADER
from streams.messages.headers import message_id
from streams.messages.keys import ReadKey, compile_key
from streams.messages.message import Record
from streams.messages.registry import Registered
from streams.routing.admission import Headers, RawHeaders
from streams.topology.integration import Transformation
from streams.topology.model import Topology

MadeHeaders = list[tuple[str, bytes | None]]
Dress = Callable[[Record, RawHeaders, Headers, Payload], tuple[bytes | None, str, MadeHeaders]]

# Of the message contract's headers only these are the new message's too; headers of others pass untouched.
_CARRIED_ON: Final = frozenset({names.PRIORITY, names.TTL, names.SAGA, names.TRACEPARENT, names.TRACESTATE})
_REPLACED: Final = (names.KNOWN - _CARRIED_ON) | {SCHEMA_HEADER}  # the new value has its id in front


def compile_dress(transformation: Transformation, target: Contract, version: Registered, topology: Topology) -> Dress:
    """A function that gives key, id and headers of the message made of a source record.

    It raises InvalidMessage where the payload lacks the key that `contracts:` names.

    Raises:
        UsageError: that key is no field of a payload.
    """
    settings = topology.contracts.get(target.name) or topology.contracts.get(target.full_name)
    key_of = _keying(compile_key(target, settings.key) if settings else None)
    rule = f"{transformation.stage}:{target.full_name}:{transformation.destination}"
    fixed: MadeHeaders = [
        (names.SPECVERSION, names.SPECVERSION_1),
        (names.TYPE, target.name.encode()),
        (names.SOURCE, f"headrace/{transformation.stage}".encode()),
        (names.DATA_SCHEMA, f"{version.subject}/{version.version}".encode()),
        (names.CONTENT_TYPE, names.AVRO),
    ]

    def dress(
        record: Record, raw: RawHeaders, headers: Headers, payload: Payload
    ) -> tuple[bytes | None, str, MadeHeaders]:
        key, subject = key_of(record, headers, payload)
        source_id = headers[names.ID] or b""
        made_id = message_id(source_id.decode(), rule)
        made = [
            *fixed,
            (names.ID, made_id.encode()),
            (names.TIME, headers[names.TIME]),
            (names.CORRELATION_ID, headers.get(names.CORRELATION_ID) or source_id),
            (names.CAUSATION_ID, source_id),
        ]
        if subject:
            made.append((names.SUBJECT, subject))
        made += [header for header in raw if header[0] not in _REPLACED]
        return key, made_id, made

    return dress


def _keying(read_key: ReadKey | None) -> Callable[[Record, Headers, Payload], tuple[bytes | None, bytes | None]]:
    """Key and subject: the field that the contract's settings name, else those of the source."""
    if read_key is None:
        return lambda record, headers, _payload: (record.key(), headers.get(names.SUBJECT) or _text(record.key()))

    def read(_record: Record, _headers: Headers, payload: Payload) -> tuple[bytes, bytes]:
        key = read_key(payload)
        return key, key

    return read


def _text(key: bytes | None) -> bytes | None:
    """The key where it can be a subject: a header of the contract has to be UTF-8."""
    try:
        return key if key and key.decode() else None
    except UnicodeDecodeError:
        return None
