"""Where a path of the newest contract lies in bytes that an older version wrote (Avro's schema resolution).

Only the easy answers are given here (same field, renamed field, same type); everything else is decoded whole by
fastavro, which knows defaults and promotions.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from streams.messages.avsc import Schema, identity, kind_of, named_types
from streams.messages.logical import logical_type
from streams.messages.paths import EVERY, Step
from streams.messages.skip_source import RECORDS, NotSkippable

_ALIKE = ("size", "symbols", "precision", "scale")  # must be equal for the bytes to mean the same


def writer_steps(writer: Schema, newest: Schema, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Steps in `writer` that find what `steps` find in `newest` after resolution.

    Raises:
        NotSkippable: resolution has more to do than to find the field.
    """
    if writer is newest:
        return steps
    return _Walk(named_types(writer), named_types(newest)).steps(writer, newest, steps)


class _Walk:
    def __init__(self, writer_types: Mapping[str, Any], newest_types: Mapping[str, Any]) -> None:
        self._writer_types, self._newest_types = writer_types, newest_types

    def steps(self, writer: Schema, newest: Schema, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        writer, newest = self._single(writer, self._writer_types), self._single(newest, self._newest_types)
        kind = kind_of(newest)
        if kind_of(writer) != kind:
            raise NotSkippable
        if not steps:
            self._require_same_leaf(writer, newest)
            return ()
        step, rest = steps[0], steps[1:]
        if kind == "array" and (isinstance(step, int) or step is EVERY):
            return (step, *self.steps(writer["items"], newest["items"], rest))
        if kind == "map" and isinstance(step, str):
            return (step, *self.steps(writer["values"], newest["values"], rest))
        if kind in RECORDS:
            mine, theirs = _field(newest, step), _writers_field(writer, newest, step)
            return (theirs["name"], *self.steps(theirs["type"], mine["type"], rest))
        raise NotSkippable

    @staticmethod
    def _single(schema: Schema, types: Mapping[str, Any]) -> Schema:
        """The one type that is not null; of several, resolution chooses by the value."""
        if isinstance(schema, list):
            others = [branch for branch in schema if kind_of(branch) != "null"]
            if len(others) != 1:
                raise NotSkippable
            schema = others[0]
        return types.get(schema, schema) if isinstance(schema, str) else schema

    @staticmethod
    def _require_same_leaf(writer: Schema, newest: Schema) -> None:
        if logical_type(writer) != logical_type(newest):
            raise NotSkippable
        if isinstance(writer, dict) or isinstance(newest, dict):
            mine, theirs = (each if isinstance(each, dict) else {} for each in (newest, writer))
            if any(identity(mine.get(key)) != identity(theirs.get(key)) for key in _ALIKE):
                raise NotSkippable


def _field(record: Schema, step: Step) -> dict[str, Any]:
    fields: list[dict[str, Any]] = record["fields"]
    for each in fields:
        if each["name"] == step:
            return each
    raise NotSkippable


def _writers_field(writer: Schema, newest: Schema, step: Step) -> dict[str, Any]:
    """The field that the writer knew by this name, or by a name that the newest version lists as an alias."""
    for name in (step, *_field(newest, step).get("aliases", ())):
        with suppress(NotSkippable):
            return _field(writer, name)
    raise NotSkippable
