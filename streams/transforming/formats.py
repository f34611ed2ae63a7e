"""Formats: contracts, and how their values are written. Avro is the rule; a topic's `format:` names another.

The contract of the same name gives such a format its fields. How a value is written is the contract's attribute
`"encoding": "csv"` or `"json"`, else the first word of its name (`csv_order_line`), else a reader that the domain
registered.
"""

from collections.abc import Mapping

import orjson

from streams.errors import InvalidMessage, RecordError
from streams.messages.contracts import Contract
from streams.messages.json_leaves import Misfit
from streams.messages.json_values import compile_from_json
from streams.messages.python_values import compile_python_check
from streams.transforming.converters import Payload, ReadValue, UnknownFormat
from streams.transforming.csv_lines import compile_csv_reader

ENCODINGS = ("csv", "json")


def compile_format(contract: Contract, readers: Mapping[str, ReadValue]) -> ReadValue:
    """A function that reads values of a format that is not Avro; it raises InvalidMessage.

    Args:
        contract: of the format's name.
        readers: those that the domain registered, by format.

    Raises:
        UnknownFormat: nothing says how its values are written, or they cannot be written so.
    """
    own = readers.get(contract.name) or readers.get(contract.full_name)
    if own is not None:
        return _checked(own, contract)
    encoding = encoding_of(contract)
    if encoding == "csv":
        return compile_csv_reader(contract)
    if encoding == "json":
        return _json_reader(contract)
    raise UnknownFormat(
        f'nothing says how {contract.name} is written; give its contract "encoding": "csv" or "json", or register a '
        "reader in the domain's code"
    )


def encoding_of(contract: Contract) -> str:
    """How values of the contract are written, if not in Avro; empty where nothing says so.

    Raises:
        UnknownFormat: its attribute names what Headrace does not read.
    """
    said = contract.schema.get("encoding")
    if said is not None and said not in ENCODINGS:
        raise UnknownFormat(f"encoding {said!r} of {contract.name}; expected {' or '.join(ENCODINGS)}")
    first_word = contract.name.partition("_")[0]
    return str(said or (first_word if first_word in ENCODINGS else ""))


def _json_reader(contract: Contract) -> ReadValue:
    from_json = compile_from_json(contract)

    def read(value: bytes) -> Payload:
        try:
            parsed = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise InvalidMessage(f"not JSON: {error.msg} at character {error.colno}") from None
        return from_json(parsed)

    return read


def _checked(own: ReadValue, contract: Contract) -> ReadValue:
    """A reader of the domain: what it cannot read is the message's fault, as is what does not fit the contract."""
    check = compile_python_check(contract)

    def read(value: bytes) -> Payload:
        try:
            payload: Payload = check(own(value))
        except RecordError:
            raise
        except Misfit as error:
            raise InvalidMessage(f"{contract.name}: {error.line()}") from None
        except Exception as error:  # the record becomes a dead letter, and this says which format was read
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InvalidMessage(f"cannot read {contract.name} from {len(value)} bytes: {reason[:200]}") from error
        return payload

    return read
