"""Source code of a reader: it walks over a framed Avro value to the wanted fields and stops at the last of them.

A reader of `total_amount` in an order comes out as:

    def read(data):
        v0 = MISSING
        try:
            pos = 5
            pos += SPAN[data[pos]] or far_span(data, pos)  # order_id
            ...                                            # the leaf, see leaf_source.py
            v0 = value
        except damage as error:
            raise damaged(error, data) from None
        return v0
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.messages.avsc import Schema, kind_of
from streams.messages.framing import FRAME_SIZE
from streams.messages.leaf_source import is_leaf, write_leaf
from streams.messages.paths import EVERY, MISSING, Step
from streams.messages.skip_source import MAX_LOOPS, RECORDS, NotSkippable, Skips, Source


@dataclass
class Wanted:
    """What is to be read of a value: `outputs` are the results that it is, `below` what is wanted inside it."""

    in_every: bool = False  # a `[*]` stands before it, so its results are lists
    outputs: list[int] = field(default_factory=list)
    below: dict[Step, "Wanted"] = field(default_factory=dict)

    def add(self, steps: Sequence[Step], output: int) -> None:
        """Want what `steps` lead to as result number `output`."""
        if not steps:
            self.outputs.append(output)
            return
        in_every = self.in_every or steps[0] is EVERY
        self.below.setdefault(steps[0], Wanted(in_every)).add(steps[1:], output)

    def all_outputs(self) -> list[int]:
        """Results that this value or something inside it is."""
        return self.outputs + [output for each in self.below.values() for output in each.all_outputs()]


def reader_source(schema: Schema, paths: Sequence[tuple[Step, ...]]) -> Source:
    """Source with the function `read(data)`: the finding of the one path, or a tuple of those of several.

    The names `damage` (exception types) and `damaged` (makes the exception to raise) are still to be bound.

    Raises:
        NotSkippable: a path ends at a record, array or map, or is too winding.
    """
    wanted = Wanted()
    for output, steps in enumerate(paths):
        wanted.add(steps, output)
    return _Walk(schema, wanted, len(paths)).source


class _Walk:
    def __init__(self, schema: Schema, wanted: Wanted, outputs: int) -> None:
        self.source = Source()
        self.source.names["MISSING"] = MISSING
        self._skips = Skips(self.source, schema)
        self._result = ", ".join(f"v{output}" for output in range(outputs))
        self.source.line(0, "def read(data):")
        for output in range(outputs):
            self.source.line(1, f"v{output} = MISSING")
        if self._leads(schema, wanted):
            self.source.line(1, "try:")
            self.source.line(2, f"pos = {FRAME_SIZE}")
            self._walk(schema, wanted, 2, loops=0, last=True)
            self.source.line(1, "except damage as error:")
            self.source.line(2, "raise damaged(error, data) from None")
        self.source.line(1, f"return {self._result}")
        self._skips.write_functions()

    def _leads(self, schema: Schema, wanted: Wanted) -> bool:
        """Whether any wanted thing can be found in a value of this type."""
        if wanted.outputs:
            return True
        schema = self._skips.resolve(schema)
        kind = kind_of(schema)
        if kind == "union":
            return any(self._leads(branch, wanted) for branch in schema)
        if kind == "array":
            indexed = any(isinstance(s, int) and self._leads(schema["items"], b) for s, b in wanted.below.items())
            return EVERY in wanted.below or indexed
        if kind == "map":
            return any(isinstance(s, str) and self._leads(schema["values"], b) for s, b in wanted.below.items())
        return kind in RECORDS and bool(self._leading_fields(schema, wanted))

    def _leading_fields(self, schema: Schema, wanted: Wanted) -> list[str]:
        return [
            each["name"]
            for each in schema["fields"]
            if each["name"] in wanted.below and self._leads(each["type"], wanted.below[each["name"]])
        ]

    def _walk(self, schema: Schema, wanted: Wanted | None, indent: int, *, loops: int, last: bool) -> None:
        """Read what is wanted of a value; `last`: nothing after it is wanted, so it need not be walked to its end."""
        schema = self._skips.resolve(schema)
        kind = kind_of(schema)
        if wanted is None or not self._leads(schema, wanted):
            self._skips.skip(schema, indent, loops)
        elif loops > MAX_LOOPS:
            raise NotSkippable
        elif kind == "union":
            for branch, inner in self._skips.branches(schema, indent):
                self._walk(branch, wanted, inner, loops=loops, last=last)
        elif wanted.outputs:
            self._leaf(schema, wanted, indent)
        elif kind in RECORDS:
            self._record(schema, wanted, indent, loops=loops, last=last)
        elif kind == "map":
            self._map(schema, wanted, indent, loops)
        else:
            self._array(schema, wanted, indent, loops=loops, last=last)

    def _leaf(self, schema: Schema, wanted: Wanted, indent: int) -> None:
        if kind_of(schema) == "null":
            self.source.line(indent, "if pos > len(data): raise IndexError('the value ends too early')")
            if not wanted.in_every:
                self._give(wanted, indent, "MISSING")
            return
        if not is_leaf(schema):
            raise NotSkippable
        write_leaf(self.source, schema, indent)
        self._give(wanted, indent, "value")

    def _give(self, wanted: Wanted, indent: int, value: str) -> None:
        for output in wanted.outputs:
            self.source.line(indent, f"v{output}.append({value})" if wanted.in_every else f"v{output} = {value}")

    def _record(self, schema: Schema, wanted: Wanted, indent: int, *, loops: int, last: bool) -> None:
        leading = self._leading_fields(schema, wanted)
        for each in schema["fields"]:
            is_last = last and each["name"] == leading[-1]
            below = wanted.below[each["name"]] if each["name"] in leading else None
            self._walk(each["type"], below, indent, loops=loops, last=is_last)
            if is_last:
                return

    def _map(self, schema: Schema, wanted: Wanted, indent: int, loops: int) -> None:
        with self.source.items(indent) as inner:
            key = self.source.variable("key")
            write_leaf(self.source, "bytes", inner)
            self.source.line(inner, f"{key} = value")
            opening = "if"
            for step, below in wanted.below.items():
                if isinstance(step, str):
                    with self.source.body(inner, f"{opening} {key} == {step.encode()!r}:") as found:
                        self._walk(schema["values"], below, found, loops=loops + 1, last=False)
                    opening = "elif"
            with self.source.body(inner, "else:") as other:
                self._skips.skip(schema["values"], other, loops + 1)

    def _array(self, schema: Schema, wanted: Wanted, indent: int, *, loops: int, last: bool) -> None:
        items, every = schema["items"], wanted.below.get(EVERY)
        indexes = sorted(step for step in wanted.below if isinstance(step, int))
        if not self._skips.takes_bytes(items) or (every and indexes):
            raise NotSkippable
        if every:
            if not wanted.in_every:
                for output in every.all_outputs():
                    self.source.line(indent, f"v{output} = []")
            with self.source.items(indent) as inner:
                self._walk(items, every, inner, loops=loops + 1, last=False)
            return
        number = self.source.variable("number")
        self.source.line(indent, f"{number} = 0")
        with self.source.items(indent) as inner:
            for position, index in enumerate(indexes):
                is_last = last and index == indexes[-1]
                with self.source.body(inner, f"{'elif' if position else 'if'} {number} == {index}:") as found:
                    self._walk(items, wanted.below[index], found, loops=loops + 1, last=is_last)
                    if is_last:
                        self.source.line(found, f"return {self._result}")
            with self.source.body(inner, "else:") as other:
                self._skips.skip(items, other, loops + 1)
            self.source.line(inner, f"{number} += 1")
