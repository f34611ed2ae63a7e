"""The key of a message that Headrace makes: a field of its payload, as `contracts:` in topology.yaml says."""

from collections.abc import Callable

from streams.errors import InvalidMessage, UsageError
from streams.messages.contracts import Contract
from streams.messages.paths import MISSING, lookup, parse_path

ReadKey = Callable[[dict[str, object]], bytes]
_PAYLOAD = "payload."


def compile_key(contract: Contract, key_field: str) -> ReadKey:
    """A function that reads the key of a payload; it raises InvalidMessage where there is none.

    Args:
        contract: of the payload.
        key_field: where the key is, e.g. `payload.order_id`.

    Raises:
        UsageError: `key_field` names no field of a payload.
    """
    if not key_field.startswith(_PAYLOAD):
        raise UsageError(f"contracts.{contract.name}.key is {key_field}; a payload has only a key below payload.")
    steps = parse_path(key_field.removeprefix(_PAYLOAD))
    if len(steps) == 1 and isinstance(steps[0], str):
        return _top_level(key_field, steps[0])

    def read(payload: dict[str, object]) -> bytes:
        return _key_of(lookup(payload, steps), key_field)

    return read


def _top_level(key_field: str, name: str) -> ReadKey:
    """The usual case, at a quarter of the cost."""

    def read(payload: dict[str, object]) -> bytes:
        found = payload.get(name)
        return found.encode() if type(found) is str and found else _key_of(found, key_field)

    return read


def _key_of(found: object, key_field: str) -> bytes:
    nothing = found is MISSING or found is None or found == ""
    if nothing or isinstance(found, list | dict | bytes):
        what = "nothing" if nothing else type(found).__name__
        raise InvalidMessage(f"{key_field}: expected the message's key, got {what}")
    return str(found).encode()
