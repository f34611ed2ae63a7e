"""An Avro type together with the named types that it may refer to: what mappings are checked and compiled from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from streams.messages.avsc import Schema, kind_of, named_types
from streams.messages.compatibility import described
from streams.messages.contracts import Contract
from streams.messages.logical import logical_type
from streams.messages.paths import Step

_INSTANTS = frozenset({"timestamp-millis", "timestamp-micros"})
_LOCAL = frozenset({"local-timestamp-millis", "local-timestamp-micros"})
_TIMES = frozenset({"time-millis", "time-micros"})


@dataclass(frozen=True)
class AvroType:
    """A type of a contract; `word` says what its values are, e.g. `decimal`, `timestamp`, `record`."""

    schema: Schema = field(hash=False)
    types: Mapping[str, Any] = field(repr=False, compare=False, hash=False)

    @classmethod
    def of(cls, contract: Contract) -> Self:
        """The record that a contract is."""
        return cls(contract.schema, named_types(contract.schema))

    def below(self, schema: Schema) -> Self:
        """A type that stands inside this one; a reference is followed."""
        return type(self)(self.types.get(schema, schema) if isinstance(schema, str) else schema, self.types)

    @cached_property
    def word(self) -> str:
        """What its values are in Python: timestamps of milliseconds and microseconds are both datetimes."""
        logical = logical_type(self.schema)
        if logical is None:
            kind = kind_of(self.schema)
            return "record" if kind == "error" else kind
        if logical in _INSTANTS:
            return "timestamp"
        if logical in _LOCAL:
            return "local timestamp"
        return "time" if logical in _TIMES else logical

    @cached_property
    def branches(self) -> tuple[Self, ...]:
        """The types that a value may have, without null."""
        each = [self.below(branch) for branch in self.schema] if isinstance(self.schema, list) else [self]
        return tuple(branch for branch in each if branch.word != "null")

    @cached_property
    def nullable(self) -> bool:
        """Whether null is a value."""
        return self.word == "null" or (isinstance(self.schema, list) and "null" in map(kind_of, self.schema))

    @cached_property
    def without_null(self) -> Self:
        """The type of the values that are not null."""
        return self.branches[0] if len(self.branches) == 1 else self

    @cached_property
    def fields(self) -> Mapping[str, Self]:
        """Types of a record's fields, in the contract's order."""
        return {each["name"]: self.below(each["type"]) for each in self.schema["fields"]}

    @property
    def items(self) -> Self:
        """Type of an array's items, or of a map's values."""
        return self.below(self.schema["items"] if self.word == "array" else self.schema["values"])

    @property
    def title(self) -> str:
        """As errors name it; a record by its short name."""
        return str(self.schema["name"]).rpartition(".")[2] if self.word == "record" else described(self.schema)

    def at(self, steps: tuple[Step, ...]) -> "tuple[AvroType, bool] | None":
        """What a path leads to, without null, and whether it may find nothing; None where it leads nowhere."""
        found, may_miss = self.without_null, self.nullable
        for step in steps:
            if found.word == "record" and step in found.fields:
                found = found.fields[str(step)]
            elif (found.word == "array" and isinstance(step, int)) or (found.word == "map" and isinstance(step, str)):
                found, may_miss = found.items, True
            else:
                return None
            may_miss = may_miss or found.nullable
            found = found.without_null
        return found, may_miss
