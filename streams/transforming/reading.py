"""Reads the messages of one topic whole: checked as a router does, decoded to the newest version.

Tagged fields are decrypted where the stage was granted that; of a topic that carries signed messages only, a record
whose signature is not valid is refused before anything else.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from streams.messages import headers as names
from streams.messages.codec import Codec, Read
from streams.messages.contracts import Contract
from streams.messages.encryption import Payload
from streams.messages.framing import FRAME_SIZE, SchemaName, frame
from streams.messages.message import Record
from streams.messages.registry import Registered
from streams.messages.signed import CheckRecord
from streams.routing.admission import Admission, Headers, RawHeaders
from streams.transforming.intake import AvroIntake

Late = Callable[[SchemaName], Registered | None]


class Arrived(NamedTuple):
    """A message that was read.

    Args:
        ce_type: short name of its contract.
        payload: decoded.
        value: framed, as it came: what is tagged in it is encrypted.
        raw: headers as they came.
        headers: by name, with the attributes filled in.
    """

    ce_type: str
    payload: Payload
    value: bytes
    raw: RawHeaders
    headers: Headers

    @property
    def id(self) -> str:
        """Id of the message."""
        return (self.headers[names.ID] or b"").decode()


class MessageReader:
    """Reads messages of the contracts that a topic carries.

    Args:
        topic: its name, for errors.
        carried: its contracts.
        codec: decodes, and decrypts what the stage was granted.
        registered: every version in the registry.
        late: finds versions that are registered later.
        check: raises for a record whose signature is not valid; None where the topic need not be signed.
    """

    def __init__(
        self,
        topic: str,
        carried: Sequence[Contract],
        codec: Codec,
        registered: Sequence[Registered],
        late: Late,
        check: CheckRecord | None = None,
    ) -> None:
        self._codec = codec
        self._subjects = {contract.subject for contract in carried}
        self._types: dict[bytes, tuple[bytes, str, Read]] = {}
        self._late = late
        self._check = check
        for version in registered:
            self._add(version)
        self._intake = AvroIntake(Admission(topic, carried, registered, self._learn))

    def read(self, record: Record, now: float) -> Arrived:
        """The message that a record is.

        Args:
            record: as consumed.
            now: unix time in seconds.

        Raises:
            InvalidMessage: it has no sound framing, headers or signature, or its bytes are damaged.
            MessageExpired: its ttl has run out.
            TransientError: a data key cannot be had at the moment.
        """
        self.verify(record)
        known = self._types.get((record.value() or b"")[:FRAME_SIZE])
        raw, headers, value = self._intake.admit(record, known[0] if known else None, now)
        _, ce_type, read = self._types[value[:FRAME_SIZE]]  # learnt on the way, or named by a header
        return Arrived(ce_type, read(value, (headers[names.ID] or b"").decode()), value, raw, headers)

    def verify(self, record: Record) -> None:
        """Refuse a record whose signature is not valid, where the topic asks for one; `read` does so too.

        Raises:
            InvalidMessage: it is not.
        """
        if self._check is not None:
            self._check(record)

    def decode(self, value: bytes, message_id: str) -> tuple[str, Payload]:
        """Short name of the contract and payload of a framed value that was read before.

        Raises:
            InvalidMessage: its schema is not registered any more, or a tagged field does not decrypt.
            TransientError: a data key cannot be had at the moment.
        """
        return self._codec.decode(value, message_id=message_id)

    def _add(self, version: Registered) -> None:
        if version.subject in self._subjects:
            ce_type, read = self._codec.decoder_of(version.id)
            self._types[frame(version.id, b"")] = ce_type.encode(), ce_type, read

    def _learn(self, name: SchemaName) -> Registered | None:
        found = self._late(name)
        if found is not None:
            self._codec.learn(found)
            self._add(found)
        return found
