"""Reads single fields of a framed value by skipping over its Avro bytes: about 0.5 us where decoding takes 5 to 10.

A route's condition asks for one or two fields; nothing else of the message is looked at, so damage behind them goes
unnoticed here and passes through. What cannot be skipped to (a path that ends at a record, array or map; a field that
the newest contract has but the writer lacked) is decoded whole. `bench/skipping.py` measures it.
"""

from collections.abc import Callable, Sequence

from streams.errors import InvalidMessage
from streams.messages.avsc import Schema
from streams.messages.decoding import DAMAGE, compile_decoder
from streams.messages.paths import MISSING, Missing, Step, lookup, parse_path
from streams.messages.reader_source import reader_source
from streams.messages.resolution import writer_steps
from streams.messages.skip_source import NotSkippable

__all__ = ["MISSING", "Missing", "compile_reader", "compile_readers"]

Read = Callable[[bytes], object]
ReadAll = Callable[[bytes], tuple[object, ...]]


def compile_reader(writer_schema: Schema, path: str, newest: Schema | None = None) -> Read:
    """A function that reads what `path` (without `payload.`) finds in a framed value of `writer_schema` (parsed).

    It returns what fastavro would decode there, MISSING, or with `[*]` a list of what is there. With `newest` the
    path is one of that schema, and the value is resolved to it (aliases, defaults, promotions).

    The function raises InvalidMessage where the value ends before the field or is damaged before it.

    Raises:
        UsageError: `path` is not written as a path.
    """
    compiled: Read = _compiled(writer_schema, [path], newest)
    return compiled


def compile_readers(writer_schema: Schema, paths: Sequence[str], newest: Schema | None = None) -> ReadAll:
    """Like `compile_reader` for several paths: one pass over the value gives a tuple of findings."""
    if len(paths) == 1:
        read = compile_reader(writer_schema, paths[0], newest)
        return lambda value: (read(value),)
    if not paths:
        return lambda _value: ()
    compiled: ReadAll = _compiled(writer_schema, paths, newest)  # type: ignore[assignment]  # several paths: a tuple
    return compiled


def _compiled(writer: Schema, paths: Sequence[str], newest: Schema | None) -> Read:
    asked = [parse_path(path) for path in paths]
    try:
        steps = asked if newest is None else [writer_steps(writer, newest, each) for each in asked]
        source = reader_source(writer, steps)
    except NotSkippable:
        return _decoding(writer, asked, newest)
    source.names |= {"damage": DAMAGE, "damaged": _damaged(writer["name"], ", ".join(paths))}
    read: Read = source.compile(f"<reader of {writer['name']}: {', '.join(paths)}>", "read")
    return read


def _damaged(name: str, paths: str) -> Callable[[Exception, bytes], InvalidMessage]:
    def damaged(error: Exception, data: bytes) -> InvalidMessage:
        return InvalidMessage(
            f"cannot read {paths} of {name} from {len(data)} bytes: it ends too early or is damaged ({error})"
        )

    return damaged


def _decoding(writer: Schema, paths: Sequence[tuple[Step, ...]], newest: Schema | None) -> Read:
    decode = compile_decoder(writer, newest)
    if len(paths) == 1:
        steps = paths[0]
        return lambda value: lookup(decode(value), steps)
    return lambda value: tuple(lookup(payload, steps) for payload in (decode(value),) for steps in paths)
