"""Source code that skips over Avro values: what a reader does with the fields that nobody asked for.

Readers are generated as Python source because straight code is twice as fast as closures (no call a field). Names
and values of a schema never become code: they are bound as globals of the source, or stand in it as literals.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from streams.messages import avro_bytes
from streams.messages.avsc import NAMED, PRIMITIVES, Schema, kind_of, named_types

MAX_NESTING = 200  # values of a recursive type inside each other
RECORDS = frozenset({"record", "error"})
MAX_LOOPS = 8  # around each other; Python nests 20 blocks, a loop over blocks of items is two
_INLINE_LOOPS = 2  # a skipped array inside more loops becomes a function
_ONE_BYTE_BRANCHES = 64  # unions whose branch number takes one byte
_FIXED_WIDTH = {"null": 0, "boolean": 1, "float": 4, "double": 8}


class NotSkippable(Exception):
    """These paths need the whole message decoded."""


class Source:
    """Lines of source and the globals that they need."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {
            name: getattr(avro_bytes, name)
            for name in ("SPAN", "far_span", "next_block", "read_long", "read_span", "skip_empty_items", "varint_width")
        }
        self._lines: list[str] = []
        self._variables = 0

    @property
    def text(self) -> str:
        """The source so far."""
        return "\n".join(self._lines) + "\n"

    def line(self, indent: int, text: str) -> None:
        """Write one line."""
        self._lines.append("    " * indent + text)

    def variable(self, stem: str) -> str:
        """A name that nothing else uses."""
        self._variables += 1
        return f"{stem}{self._variables}"

    def bind(self, stem: str, value: object) -> str:
        """Name under which the source finds `value`."""
        name = self.variable(stem)
        self.names[name] = value
        return name

    @contextmanager
    def body(self, indent: int, header: str) -> Iterator[int]:
        """A block under `header`; gives the indent of its lines and writes `pass` when there are none."""
        self.line(indent, header)
        written = len(self._lines)
        yield indent + 1
        if len(self._lines) == written:
            self.line(indent + 1, "pass")

    @contextmanager
    def items(self, indent: int) -> Iterator[int]:
        """The loops over the items of an array or map, block by block; gives the indent of an item's lines."""
        count = self.variable("count")
        self.line(indent, f"{count}, pos = next_block(data, pos)")
        self.line(indent, f"while {count}:")
        self.line(indent + 1, f"for _ in range({count}):")
        yield indent + 2
        self.line(indent + 1, f"{count}, pos = next_block(data, pos)")

    def compile(self, title: str, entry: str) -> Any:
        """The function `entry` of the source."""
        exec(compile(self.text, title, "exec"), self.names)  # noqa: S102 only literals and bound names: see above
        return self.names[entry]


class Skips:
    """Writes the lines that move `pos` past a value; named types become functions, so recursion ends."""

    def __init__(self, source: Source, schema: Schema) -> None:
        self.source = source
        self._types = named_types(schema)
        self._functions: dict[str, str] = {}
        self._pending: list[tuple[str, Schema]] = []
        self._depth = "0"
        self._takes_bytes: dict[str, bool] = {}

    def resolve(self, schema: Schema) -> Schema:
        """The definition that a reference to a named type means."""
        return self._types[schema] if isinstance(schema, str) and schema not in PRIMITIVES else schema

    def takes_bytes(self, schema: Schema) -> bool:
        """Whether every value of this type takes at least a byte: null and records of nothing else do not."""
        schema = self.resolve(schema)
        kind = kind_of(schema)
        if kind not in RECORDS:
            return bool(schema["size"]) if kind == "fixed" else kind != "null"
        name = str(schema["name"])
        if name not in self._takes_bytes:
            self._takes_bytes[name] = False  # while inside itself
            self._takes_bytes[name] = any(self.takes_bytes(each["type"]) for each in schema["fields"])
        return self._takes_bytes[name]

    def skip(self, schema: Schema, indent: int, loops: int = 0) -> None:
        """Write the skipping of one value that stands inside `loops` loops."""
        schema = self.resolve(schema)
        kind = kind_of(schema)
        if not self.takes_bytes(schema):
            return
        if kind in RECORDS or (kind in {"array", "map"} and loops >= _INLINE_LOOPS):
            self.source.line(indent, f"pos = {self._function_for(schema)}(data, pos, {self._depth} + 1)")
        else:
            self._skip_here(schema, indent, loops)

    def write_functions(self) -> None:
        """Write the functions that the lines so far call, and those that these call."""
        while self._pending:
            name, schema = self._pending.pop()
            self._depth = "depth"
            self.source.line(0, f"def {name}(data, pos, depth):")
            self.source.line(1, f"if depth > {MAX_NESTING}: raise IndexError('values nested too deeply')")
            self._skip_here(schema, 1, loops=0)
            self.source.line(1, "return pos")

    def branches(self, schema: list[Schema], indent: int) -> Iterator[tuple[Schema, int]]:
        """Each branch of a union with the indent of its lines."""
        if len(schema) > _ONE_BYTE_BRANCHES:
            raise NotSkippable
        branch = self.source.variable("branch")
        self.source.line(indent, f"{branch} = data[pos]")
        self.source.line(indent, "pos += 1")
        for index, below in enumerate(schema):
            with self.source.body(indent, f"{'elif' if index else 'if'} {branch} == {2 * index}:") as inner:
                yield below, inner
        self.source.line(indent, "else: raise IndexError('no such branch of a union')")

    def _function_for(self, schema: Mapping[str, Any]) -> str:
        name = str(schema["name"]) if schema["type"] in NAMED else self.source.variable("a container ")
        if name not in self._functions:
            self._functions[name] = self.source.variable("skip")
            self._pending.append((self._functions[name], schema))
        return self._functions[name]

    def _skip_here(self, schema: Schema, indent: int, loops: int) -> None:
        kind = kind_of(schema)
        if kind in {"string", "bytes"}:
            self.source.line(indent, "pos += SPAN[data[pos]] or far_span(data, pos)")
        elif kind in {"int", "long", "enum"}:
            self.source.line(indent, "pos += 1 if data[pos] < 128 else varint_width(data, pos)")
        elif kind in RECORDS:
            for each in schema["fields"]:
                self.skip(each["type"], indent, loops)
        elif kind == "union":
            for below, inner in self.branches(schema, indent):
                self.skip(below, inner, loops)
        elif kind in {"array", "map"}:
            self._skip_items(schema, indent, loops)
        else:
            self.source.line(indent, f"pos += {schema['size'] if kind == 'fixed' else _FIXED_WIDTH[kind]}")

    def _skip_items(self, schema: Mapping[str, Any], indent: int, loops: int) -> None:
        if schema["type"] == "map":
            with self.source.items(indent) as inner:
                self.skip("string", inner)
                self.skip(schema["values"], inner, loops + 1)
        elif self.takes_bytes(schema["items"]):
            with self.source.items(indent) as inner:
                self.skip(schema["items"], inner, loops + 1)
        else:
            self.source.line(indent, "pos = skip_empty_items(data, pos)")
