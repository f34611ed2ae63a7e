"""What the codec does with tagged fields: seals those of every message that Headrace makes, opens those it may."""

from collections.abc import Callable, Mapping
from typing import Any

from streams.errors import ConfigurationRefused, InvalidMessage
from streams.messages.avsc import Schema, SchemaMistake
from streams.messages.contracts import Contract, Contracts
from streams.messages.paths import MISSING, Step, lookup, parse_path
from streams.messages.tagged import Walk, compile_walk, tagged_paths
from streams.security.fields import Opener, Sealer

Payload = dict[str, Any]
# A payload and the id of its message -> the payload with its tagged fields sealed, or opened.
Change = Callable[[Payload, str | None], Payload]

PAYLOAD_PREFIX = "payload."


class Encryption:
    """Seals and opens whole payloads.

    Args:
        contracts: the newest version of each.
        subjects: by name of the contract, where in a payload its subject is (`payload.customer_id`).
        sealer: encrypts; None where there is no key ring: then messages with tagged fields cannot be made.
        opener: decrypts what it was granted; None: tagged fields stay as they came.

    Raises:
        UsageError: there is no such contract.
    """

    def __init__(
        self, contracts: Contracts, subjects: Mapping[str, str], sealer: Sealer | None, opener: Opener | None = None
    ) -> None:
        self._subjects = {contracts[name].full_name: field for name, field in subjects.items()}
        self._sealer = sealer
        self._opener = opener

    def sealing(self, contract: Contract) -> Change | None:
        """What is done to a payload before it is encoded; None where the contract tags no field.

        Raises:
            ConfigurationRefused: there is no key ring, or nobody said whose key protects the fields.
        """
        walk = _walk(contract.schema, contract.name)
        if walk is None:
            return None
        if self._sealer is None:
            fields = ", ".join(sorted(tagged_paths(contract.schema)))
            raise ConfigurationRefused(
                f"contract {contract.name} tags {fields}, which must be encrypted; set HEADRACE_KEYRING"
            )
        field = self._subjects.get(contract.full_name)
        if field is None:
            raise ConfigurationRefused(
                f"contract {contract.name} has tagged fields and no subject; add security: "
                f"{{subject: {{{contract.name}: payload.<field>}}}} to the topology"
            )
        return _sealing(contract.name, walk, self._sealer, field)

    def opening(self, contract: Contract, writer: Schema) -> Change | None:
        """What is done to a payload once it is decoded with the schema it was written with.

        None where that tags no field, or where nobody granted it.
        """
        opener = self._opener
        if opener is None or contract.full_name not in opener.granted:
            return None
        walk = _walk(writer, contract.name)
        return None if walk is None else _opening(contract.name, walk, opener)


def _walk(schema: Schema, name: str) -> Walk | None:
    try:
        return compile_walk(schema)
    except SchemaMistake as mistake:
        raise ConfigurationRefused(f"contract {name}: {mistake}; a registered version of it says so") from None


def _sealing(name: str, walk: Walk, sealer: Sealer, field: str) -> Change:
    steps: tuple[Step, ...] = parse_path(field.removeprefix(PAYLOAD_PREFIX))

    def seal(payload: Payload, message_id: str | None) -> Payload:
        subject = lookup(payload, steps)
        if subject is MISSING or subject == "" or isinstance(subject, list | dict | bytes):
            got = "nothing" if subject is MISSING or subject == "" else type(subject).__name__
            raise InvalidMessage(f"{field}: expected the subject whose key protects tagged fields, got {got}")
        sealed: Payload = walk(payload, "", sealer.of_message(name, _given(message_id, name), str(subject)))
        return sealed

    return seal


def _opening(name: str, walk: Walk, opener: Opener) -> Change:
    def open_payload(payload: Payload, message_id: str | None) -> Payload:
        opened: Payload = walk(payload, "", opener.of_message(name, _given(message_id, name)))
        return opened

    return open_payload


def _given(message_id: str | None, name: str) -> str:
    if message_id is None:
        raise ConfigurationRefused(f"the codec needs the id of each {name}, for its tagged fields are bound to it")
    return message_id
