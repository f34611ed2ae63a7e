"""Reads the messages of one topic whole: checked as a router does, decoded to the newest version."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from streams.messages.codec import Codec, Payload
from streams.messages.contracts import Contract, Contracts
from streams.messages.decoding import Decode
from streams.messages.framing import FRAME_SIZE, SchemaName, frame
from streams.messages.message import Record
from streams.messages.registry import Registered
from streams.routing.admission import Admission, Headers, RawHeaders
from streams.transforming.intake import AvroIntake

Late = Callable[[SchemaName], Registered | None]


class Arrived(NamedTuple):
    """A message that was read.

    Args:
        ce_type: short name of its contract.
        payload: decoded.
        value: framed.
        raw: headers as they came.
        headers: by name, with the attributes filled in.
    """

    ce_type: str
    payload: Payload
    value: bytes
    raw: RawHeaders
    headers: Headers


class MessageReader:
    """Reads messages of the contracts that a topic carries.

    Args:
        topic: its name, for errors.
        carried: its contracts.
        contracts: the newest version of each.
        registered: every version in the registry.
        late: finds versions that are registered later.
    """

    def __init__(
        self,
        topic: str,
        carried: Sequence[Contract],
        contracts: Contracts,
        registered: Sequence[Registered],
        late: Late,
    ) -> None:
        self._codec = Codec(contracts, registered)
        self._subjects = {contract.subject for contract in carried}
        self._types: dict[bytes, tuple[bytes, str, Decode]] = {}
        self._late = late
        for version in registered:
            self._add(version)
        self._intake = AvroIntake(Admission(topic, carried, registered, self._learn))

    def read(self, record: Record, now: float) -> Arrived:
        """The message that a record is.

        Args:
            record: as consumed.
            now: unix time in seconds.

        Raises:
            InvalidMessage: it has no sound framing or headers, or its bytes are damaged.
            MessageExpired: its ttl has run out.
        """
        known = self._types.get((record.value() or b"")[:FRAME_SIZE])
        raw, headers, value = self._intake.admit(record, known[0] if known else None, now)
        _, ce_type, decode = self._types[value[:FRAME_SIZE]]  # learnt on the way, or named by a header
        return Arrived(ce_type, decode(value), value, raw, headers)

    def decode(self, value: bytes) -> tuple[str, Payload]:
        """Short name of the contract and payload of a framed value that was read before.

        Raises:
            InvalidMessage: its schema is not registered any more.
        """
        return self._codec.decode(value)

    def _add(self, version: Registered) -> None:
        if version.subject in self._subjects:
            ce_type, decode = self._codec.decoder_of(version.id)
            self._types[frame(version.id, b"")] = ce_type.encode(), ce_type, decode

    def _learn(self, name: SchemaName) -> Registered | None:
        found = self._late(name)
        if found is not None:
            self._codec.learn(found)
            self._add(found)
        return found
