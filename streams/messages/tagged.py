"""Fields tagged `"confluent:tags": ["PII"]` in a contract: which they are, and how to get at them in a payload.

A tag speaks for the text and bytes of its field, also inside arrays, maps and beside null. Paths of values have
indexes and map keys (`lines[0].note`), those for people `[*]`. Pure; how a field is encrypted, security knows.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from streams.errors import InvalidMessage
from streams.messages.avsc import Schema, SchemaMistake, kind_of, named_types
from streams.messages.defaults import default_value
from streams.messages.logical import logical_type
from streams.messages.paths import parse_path
from streams.security.fields import Apply

TAG = "PII"
_RECORDS = frozenset({"record", "error"})
_ABSENT = object()

# A value, its path and what to do with each tagged field -> the value with that done; nothing is changed in place.
Walk = Callable[[Any, str, Apply], Any]


def is_tagged(field: Mapping[str, Any]) -> bool:
    """Whether a field of a record carries the tag."""
    tags = field.get("confluent:tags")
    return isinstance(tags, list) and TAG in tags


def check_tags(schema: Schema) -> None:
    """Refuse tags that cannot be kept.

    Raises:
        SchemaMistake: a tagged field holds something else than text or bytes, or stands where it cannot be told
            which branch of a union it is in.
    """
    compile_walk(schema)


def tagged_paths(schema: Schema) -> frozenset[str]:
    """Paths of the tagged fields, such as `email` and `lines[*].note`; of types inside themselves the first round."""
    return frozenset(_paths(schema, named_types(schema), "", frozenset()))


def compile_walk(schema: Schema) -> Walk | None:
    """A function that applies something to each tagged field of a payload; None where no field is tagged.

    Raises:
        SchemaMistake: as `check_tags`.
    """
    return _Walks(schema).of(schema)


def crosses_tag(schema: Schema, path: str) -> bool:
    """Whether `path` (without `payload.`) leads to or into a tagged field."""
    types, found = named_types(schema), [schema]
    for step in parse_path(path):
        reached = [below for each in found for below in _below(each, step, types)]
        if any(tagged for _, tagged in reached):
            return True
        found = [below for below, _ in reached]
    return False


def _below(schema: Schema, step: object, types: Mapping[str, Any]) -> Iterator[tuple[Schema, bool]]:
    """Types that one step of a path leads to, and whether it is a tagged field that it leads to."""
    schema = types.get(schema, schema) if isinstance(schema, str) else schema
    if isinstance(schema, list):
        for branch in schema:
            yield from _below(branch, step, types)
    elif isinstance(schema, Mapping):
        if isinstance(step, str):
            yield from ((each["type"], is_tagged(each)) for each in schema.get("fields", ()) if each["name"] == step)
        below = "values" if isinstance(step, str) else "items"
        if below in schema:
            yield schema[below], False


class _Walks:
    """Compiles a schema, each record once."""

    def __init__(self, schema: Schema) -> None:
        self._types = named_types(schema)
        self._records: dict[str, Walk | None] = {}
        self._tagged_within = {name: self._has_tags(each, set()) for name, each in self._types.items()}

    def of(self, schema: Schema, *, tagged: bool = False, where: str = "") -> Walk | None:
        """Walk over values of a type; None where there is nothing to do in them."""
        schema = self._types.get(schema, schema) if isinstance(schema, str) else schema
        kind = kind_of(schema)
        if kind in _RECORDS and not tagged:
            return self._record(schema, where)
        if kind == "union":
            return self._union(schema, tagged=tagged, where=where)
        if kind == "array":
            return _each_item(self.of(schema["items"], tagged=tagged, where=f"{where}[*]"))
        if kind == "map":
            return _each_value(self.of(schema["values"], tagged=tagged, where=f"{where}.*"))
        if not tagged or kind == "null":
            return None
        if kind in {"string", "bytes"} and logical_type(schema) is None:
            return _apply_to(str if kind == "string" else bytes)
        what = logical_type(schema) or kind
        raise SchemaMistake(f"{where}: tagged {TAG}, but of type {what}; only string and bytes can be encrypted")

    def _union(self, schema: list[Schema], *, tagged: bool, where: str) -> Walk | None:
        walks = [self.of(branch, tagged=tagged, where=where) for branch in schema if kind_of(branch) != "null"]
        found = [walk for walk in walks if walk is not None]
        if not found:
            return None
        if len(walks) > 1:
            raise SchemaMistake(f"{where}: tagged {TAG} in a union of several types; only one beside null is possible")
        return lambda value, path, apply: None if value is None else found[0](value, path, apply)

    def _record(self, schema: Mapping[str, Any], where: str) -> Walk | None:
        name = str(schema["name"])
        if not self._tagged_within[name]:
            return None
        if name in self._records:
            return self._inside(name)
        self._records[name] = None  # while inside itself
        walks = []
        for field in schema["fields"]:
            place = f"{where}.{field['name']}" if where else field["name"]
            walk = self.of(field["type"], tagged=is_tagged(field), where=place)
            if walk is not None:
                walks.append((field["name"], walk, self._default(field)))
        self._records[name] = _each_field(walks)
        return self._records[name]

    def _inside(self, name: str) -> Walk:
        """The walk over a record that stands inside itself, found when a payload comes: by then it is compiled."""

        def walk(value: Any, path: str, apply: Apply) -> Any:
            below = self._records[name]
            return value if below is None else below(value, path, apply)

        return walk

    def _default(self, field: Mapping[str, Any]) -> object:
        return default_value(field["type"], field["default"], self._types) if "default" in field else _ABSENT

    def _has_tags(self, schema: Schema, seen: set[str]) -> bool:
        schema = self._types.get(schema, schema) if isinstance(schema, str) else schema
        if isinstance(schema, list):
            return any(self._has_tags(branch, seen) for branch in schema)
        if not isinstance(schema, Mapping) or schema.get("name") in seen:
            return False
        if "fields" in schema:
            seen = seen | {schema["name"]}
            return any(is_tagged(each) or self._has_tags(each["type"], seen) for each in schema["fields"])
        return any(self._has_tags(schema[below], seen) for below in ("items", "values") if below in schema)


def _apply_to(kind: type[str] | type[bytes]) -> Walk:
    expected = "string" if kind is str else "bytes"

    def walk(value: Any, path: str, apply: Apply) -> Any:
        if not isinstance(value, kind):
            # What it got instead is not said: it is likely what the tag protects.
            raise InvalidMessage(f"{path}: expected {expected}, got {type(value).__name__}")
        return apply(value, path)

    return walk


def _each_field(walks: list[tuple[str, Walk, object]]) -> Walk:
    def walk(value: Any, path: str, apply: Apply) -> Any:
        if not isinstance(value, Mapping):
            return value  # the encoder says what is wrong
        changed = dict(value)
        prefix = f"{path}." if path else ""
        for name, below, default in walks:
            given: Any = changed.get(name, default)
            if given is not _ABSENT:
                changed[name] = below(given, prefix + name, apply)
        return changed

    return walk


def _each_item(below: Walk | None) -> Walk | None:
    if below is None:
        return None

    def walk(value: Any, path: str, apply: Apply) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return [below(item, f"{path}[{index}]", apply) for index, item in enumerate(value)]

    return walk


def _each_value(below: Walk | None) -> Walk | None:
    if below is None:
        return None

    def walk(value: Any, path: str, apply: Apply) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {key: below(item, f"{path}.{_map_key(key)}", apply) for key, item in value.items()}

    return walk


def _map_key(key: object) -> str:
    """A key as a step of a path; quoted where a dot or bracket in it could be taken for one of the path's."""
    text = str(key)
    return json.dumps(text) if any(character in text for character in '.[]"') else text


def _paths(schema: Schema, types: Mapping[str, Any], path: str, around: frozenset[str]) -> Iterator[str]:
    schema = types.get(schema, schema) if isinstance(schema, str) else schema
    if isinstance(schema, list):
        for branch in schema:
            yield from _paths(branch, types, path, around)
    elif isinstance(schema, Mapping):
        if "items" in schema:
            yield from _paths(schema["items"], types, f"{path}[*]", around)
        if "values" in schema:
            yield from _paths(schema["values"], types, f"{path}.*", around)
        if "fields" in schema and schema["name"] not in around:
            for field in schema["fields"]:
                place = f"{path}.{field['name']}" if path else str(field["name"])
                if is_tagged(field):
                    yield place
                else:
                    yield from _paths(field["type"], types, place, around | {schema["name"]})
