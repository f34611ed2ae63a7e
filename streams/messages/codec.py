"""Whole messages: payload to framed value with the contract's registered id, and back to the newest version's form."""

from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Protocol

import fastavro

from streams.errors import ConfigurationRefused, InvalidMessage
from streams.messages.avsc import Schema, identity
from streams.messages.contracts import Contract, Contracts, parse
from streams.messages.decoding import Decode, compile_decoder
from streams.messages.encryption import Change, Encryption, Payload
from streams.messages.framing import SchemaName, frame, framed, schema_name_of, told
from streams.messages.registry import Registered, by_name
from streams.security.fields import ShreddedField


class Encode(Protocol):
    """Encodes payloads of one contract; tagged fields are encrypted for the message with this id."""

    def __call__(self, payload: Payload, message_id: str | None = None) -> bytes:
        """As `Codec.encode`."""


class Read(Protocol):
    """Decodes values of one version of a contract, and decrypts their tagged fields where that was granted."""

    def __call__(self, value: bytes, message_id: str | None = None) -> Payload:
        """As `Codec.decode`."""


_REFUSALS = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)


class Codec:
    """Encodes and decodes messages of the contracts, for every version that is registered.

    Args:
        contracts: the newest version of each.
        registered: every version in the registry.
        encryption: of tagged fields; without it contracts that have some cannot be encoded, and nothing is decrypted.
    """

    def __init__(
        self, contracts: Contracts, registered: Iterable[Registered], encryption: Encryption | None = None
    ) -> None:
        self._contracts = contracts
        self._encryption = encryption or Encryption(contracts, {}, None)
        self._by_name = by_name(registered)
        self._versions = {(each.subject, identity(each.schema)): each for each in self._by_name.values()}
        # Compiled when a message first needs one.
        self._encoders: dict[str, Encode] = {}
        self._decoders: dict[SchemaName, tuple[str, Read]] = {}

    def version_of(self, contract: Contract) -> Registered:
        """The registered version that is the contract as it stands.

        Raises:
            ConfigurationRefused: there is none.
        """
        try:
            return self._versions[contract.subject, contract.identity]
        except KeyError:
            raise ConfigurationRefused(
                f"contract {contract.name} is not registered as it stands; run `headrace schema register`"
            ) from None

    def encode(self, contract_name: str, payload: Payload, message_id: str | None = None) -> bytes:
        """Framed value of a payload; tagged fields are encrypted for the message with this id.

        Raises:
            InvalidMessage: the payload does not fit the contract.
            ConfigurationRefused: the contract is not registered, or has tagged fields and nothing to encrypt them with.
            TransientError: there is no data key to be had at the moment.
        """
        return self.encoder_of(contract_name)(payload, message_id)

    def encoder_of(self, contract_name: str) -> Encode:
        """A function that does what `encode` does, for many payloads of one contract.

        Raises:
            ConfigurationRefused: as `encode`.
        """
        encode = self._encoders.get(contract_name)
        if encode is None:
            encode = self._encoders[contract_name] = self._encoder(self._contracts[contract_name])
        return encode

    def _encoder(self, contract: Contract) -> Encode:
        header, schema, write = frame(self.version_of(contract).id, b""), contract.parsed, fastavro.schemaless_writer
        seal = self._encryption.sealing(contract)

        def encode(payload: Payload, message_id: str | None = None) -> bytes:
            if seal is not None:
                payload = seal(payload, message_id)
            stream = BytesIO()
            stream.write(header)
            try:
                write(stream, schema, payload, strict_allow_default=True)
            except _REFUSALS as error:
                reason = " ".join(str(error).split())[:200]
                raise InvalidMessage(f"payload does not fit contract {contract.name}: {reason}") from None
            return stream.getvalue()

        return encode

    def decode(
        self, value: bytes, headers: Mapping[str, bytes | None] | None = None, *, message_id: str | None = None
    ) -> tuple[str, Payload]:
        """Short name of the contract and the payload of a value, resolved to the contract's newest version.

        Args:
            value: of the record.
            headers: of the record, by name; one of them may name the schema instead of the value (framing.py).
            message_id: needed where tagged fields are decrypted, which the stage was granted.

        Raises:
            InvalidMessage: no framing, an unknown schema, damaged bytes, or a tagged field that does not decrypt.
            TransientError: a data key cannot be had at the moment.
        """
        headers = headers or {}
        name, read = self.decoder_of(schema_name_of(value, headers))
        return name, read(framed(value, headers, 0), message_id)  # decoders pass over the id

    def learn(self, version: Registered) -> None:
        """Know a version that was registered after this codec was made."""
        self._by_name[version.id] = version
        if version.guid:
            self._by_name[version.guid] = version

    def decoder_of(self, name: SchemaName) -> tuple[str, Read]:
        """Short name of the contract that a schema is of, and a function that decodes framed values of it.

        Raises:
            InvalidMessage: it is not registered, or of no contract.
        """
        return self._decoders.get(name) or self._decoder(name)

    def _decoder(self, name: SchemaName) -> tuple[str, Read]:
        writer = self._by_name.get(name)
        if writer is None:
            raise InvalidMessage(f"{told(name)} is not registered")
        if writer.subject not in self._contracts:
            raise InvalidMessage(f"{told(name)} is {writer.subject}, which no contract defines")
        newest = self._contracts[writer.subject]
        same = identity(writer.schema) == newest.identity
        written = newest.parsed if same else parse(writer.schema)
        change = self._encryption.opening(newest, writer.schema)
        resolved = compile_decoder(written, None if same else newest.parsed)
        read = _reading(resolved) if change is None else _opening(written, change, None if same else resolved)
        self._decoders[name] = newest.name, read
        return self._decoders[name]


def _reading(decode: Decode) -> Read:
    return lambda value, message_id=None: decode(value)  # noqa: ARG005 only what is decrypted needs it


def _opening(written: Schema, change: Change, resolve: Decode | None) -> Read:
    """Decode, decrypt, and then resolve: paths and types of tagged fields are those they were written with."""
    decode, header = compile_decoder(written), frame(0, b"")

    def open_fields(value: bytes, message_id: str | None = None) -> Payload:
        payload = change(decode(value), message_id)
        if resolve is None:
            return payload
        stream = BytesIO()
        stream.write(header)
        try:
            fastavro.schemaless_writer(stream, written, payload)
        except _REFUSALS:  # a shredded field that is null now, where its old version knew no null
            raise ShreddedField(f"an older version of {written['name']} cannot be read without its fields") from None
        return resolve(stream.getvalue())

    return open_fields
