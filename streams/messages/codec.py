"""Whole messages: payload to framed value with the contract's registered id, and back to the newest version's form."""

from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from typing import Any

import fastavro

from streams.errors import ConfigurationRefused, InvalidMessage
from streams.messages.avsc import identity
from streams.messages.contracts import Contract, Contracts, parse
from streams.messages.decoding import Decode, compile_decoder
from streams.messages.framing import SchemaName, frame, framed, schema_name_of, told
from streams.messages.registry import Registered, by_name

Payload = dict[str, Any]

_REFUSALS = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)


class Codec:
    """Encodes and decodes messages of the contracts, for every version that is registered.

    Args:
        contracts: the newest version of each.
        registered: every version in the registry.
    """

    def __init__(self, contracts: Contracts, registered: Iterable[Registered]) -> None:
        self._contracts = contracts
        self._by_name = by_name(registered)
        self._versions = {(each.subject, identity(each.schema)): each for each in self._by_name.values()}
        # Compiled when a message first needs one.
        self._encoders: dict[str, Callable[[Payload], bytes]] = {}
        self._decoders: dict[SchemaName, tuple[str, Decode]] = {}

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

    def encode(self, contract_name: str, payload: Payload) -> bytes:
        """Framed value of a payload.

        Raises:
            InvalidMessage: the payload does not fit the contract.
            ConfigurationRefused: the contract is not registered.
        """
        encode = self._encoders.get(contract_name)
        if encode is None:
            encode = self._encoders[contract_name] = self._encoder(self._contracts[contract_name])
        return encode(payload)

    def _encoder(self, contract: Contract) -> Callable[[Payload], bytes]:
        header, schema, write = frame(self.version_of(contract).id, b""), contract.parsed, fastavro.schemaless_writer

        def encode(payload: Payload) -> bytes:
            stream = BytesIO()
            stream.write(header)
            try:
                write(stream, schema, payload, strict_allow_default=True)
            except _REFUSALS as error:
                reason = " ".join(str(error).split())[:200]
                raise InvalidMessage(f"payload does not fit contract {contract.name}: {reason}") from None
            return stream.getvalue()

        return encode

    def decode(self, value: bytes, headers: Mapping[str, bytes | None] | None = None) -> tuple[str, Payload]:
        """Short name of the contract and the payload of a value, resolved to the contract's newest version.

        Args:
            value: of the record.
            headers: of the record, by name; one of them may name the schema instead of the value (framing.py).

        Raises:
            InvalidMessage: no framing, an unknown schema, or damaged bytes.
        """
        headers = headers or {}
        name = schema_name_of(value, headers)
        known = self._decoders.get(name) or self._decoder(name)
        return known[0], known[1](framed(value, headers, 0))  # decoders pass over the id

    def _decoder(self, name: SchemaName) -> tuple[str, Decode]:
        writer = self._by_name.get(name)
        if writer is None:
            raise InvalidMessage(f"{told(name)} is not registered")
        if writer.subject not in self._contracts:
            raise InvalidMessage(f"{told(name)} is {writer.subject}, which no contract defines")
        newest = self._contracts[writer.subject]
        same = identity(writer.schema) == newest.identity
        decode = compile_decoder(newest.parsed if same else parse(writer.schema), None if same else newest.parsed)
        self._decoders[name] = newest.name, decode
        return self._decoders[name]
