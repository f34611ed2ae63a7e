"""Messages under one schema id, as conditions see them: the writer's bytes, read as the contract's newest version."""

from collections.abc import Collection

from streams.messages.contracts import Contract, Contracts, parse
from streams.messages.registry import Registered
from streams.messages.skipping import compile_reader
from streams.routing.conditions import FieldReader


class WriterType:
    """One registered version of a contract.

    Args:
        registered: the version that the messages were written with.
        contracts: the contracts; their newest versions define the fields.
        shared: payload paths that several conditions read, and which are therefore read once a record.
    """

    def __init__(self, registered: Registered, contracts: Contracts, shared: Collection[str] = ()) -> None:
        self._contract: Contract = contracts[registered.subject]
        self._contracts = contracts
        self._parsed = parse(registered.schema)
        self._shared = shared
        self._readers: dict[str, FieldReader | None] = {}

    @property
    def name(self) -> str:
        """Short name: what `message_type` is."""
        return self._contract.name

    def reader(self, path: str) -> FieldReader | None:
        """Reader of a payload field; None when the contract has no such field."""
        if path not in self._readers:
            self._readers[path] = self._compile(path)
        return self._readers[path]

    def _compile(self, path: str) -> FieldReader | None:
        if self._contracts.field_type(self._contract, path) is None:
            return None
        read = compile_reader(self._parsed, path, self._contract.parsed)
        return _once(read) if path in self._shared else read


def _once(read: FieldReader) -> FieldReader:
    """`read`, asked only once as long as it is asked for one and the same value object."""
    last_value: bytes = b""
    last_found: object = None

    def read_once(value: bytes) -> object:
        nonlocal last_value, last_found
        if value is not last_value:
            last_found = read(value)
            last_value = value
        return last_found

    return read_once
