"""Aggregator: one message for a group of correlated ones, once it is whole or its time is over."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streams.errors import InvalidMessage
from streams.messages.encryption import Payload
from streams.messages.message import Record
from streams.messages.paths import MISSING, Step, lookup, parse_path
from streams.patterns.by_name import Gathering, gathered
from streams.patterns.groups import First, Group, Groups, Stored
from streams.routing.fields import Field, parse_field
from streams.routing.router import RoutedBatch
from streams.transforming.making import Maker
from streams.transforming.outgoing import MadeHeaders
from streams.transforming.reading import Arrived, MessageReader

Correlate = Callable[[Record, Arrived], str]
IsWhole = Callable[[int, Record, Arrived], bool]


@dataclass(frozen=True, slots=True)
class CompiledAggregator:
    """An aggregator for what the registry holds.

    Args:
        reader: of its source.
        gatherings: by short name of the source's contracts.
        correlate: what the messages of a group have in common.
        is_whole: whether a group of so many is whole with this message.
        maker: of what it makes.
    """

    reader: MessageReader
    gatherings: Mapping[str, Gathering]
    correlate: Correlate
    is_whole: IsWhole
    maker: Maker

    def bind(self, batch: RoutedBatch, groups: Groups, now: float) -> Callable[[Record], None]:
        """Handler of the records of `batch`; it raises InvalidMessage or MessageExpired of one that joins no group."""

        def handle(record: Record) -> None:
            for group in groups.overdue(record.timestamp()[1]):
                self._put_out(batch, record, group)
            arrived = self.reader.read(record, now)
            correlated = self.correlate(record, arrived)
            count = groups.add(correlated, record, arrived)
            if count == 1:  # what could not be made of it must not begin a group that others would fail by
                first = First(record.key(), arrived.raw, arrived.headers)
                self._made(Group(first, [Stored(arrived.id, arrived.value)]))
            if self.is_whole(count, record, arrived):
                self._put_out(batch, record, groups.take(correlated))

        return handle

    def _put_out(self, batch: RoutedBatch, record: Record, group: Group) -> None:
        key, value, headers = self._made(group)
        destination = self.maker.destination
        partition = -1 if key is not None else batch.partition % batch.partitions_of(destination)
        batch.out.append((destination, value, key, partition, max(record.timestamp()[1], 0), headers))

    def _made(self, group: Group) -> tuple[bytes | None, bytes, MadeHeaders]:
        """Key, value and headers of what a group makes; causation and conversation are the first message's."""
        first = group.first
        messages: list[tuple[Gathering, Payload]] = []
        for each in group.messages:
            ce_type, payload = self.reader.decode(each.value, each.id)
            messages.append((self.gatherings[ce_type], payload))
        return self.maker.make(first.key, first.raw, first.headers, gathered(messages))


def compile_correlate(field: str) -> Correlate:
    """What a message has in common with those of its group, as text; it raises InvalidMessage where that is missing."""
    found = parse_field(field)
    if found is None:
        raise ValueError(f"{field} is no field of a message")
    read = _reader_of(found)

    def correlate(record: Record, arrived: Arrived) -> str:
        value = read(record, arrived)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "backslashreplace")
        if value is None or value is MISSING or value == "":
            raise InvalidMessage(f"{field}: expected what the messages of a group have in common, got nothing")
        return str(value)

    return correlate


def _reader_of(found: Field) -> Callable[[Record, Arrived], object]:
    if found.place == "payload":
        steps = parse_path(found.name)
        return lambda _record, arrived: lookup(arrived.payload, steps)
    if found.place == "key":
        return lambda record, _arrived: record.key()
    if found.place == "type":
        return lambda _record, arrived: arrived.ce_type
    name = "ce_time" if found.place == "time" else found.name
    return lambda _record, arrived: arrived.headers.get(name)


def compile_is_whole(count: int | str | None, holds: Callable[[Record, Arrived], bool]) -> IsWhole:
    """Whether a group is whole: it has so many messages, or the condition holds for the last one.

    Args:
        count: a number, or the payload field that has it; None: any number.
        holds: the condition.
    """
    wanted = _count_of(count)

    def is_whole(records: int, record: Record, arrived: Arrived) -> bool:
        needed = wanted(arrived)
        return (needed is not None and records >= needed) or holds(record, arrived)

    return is_whole


def _count_of(count: int | str | None) -> Callable[[Arrived], int | None]:
    if not isinstance(count, str):
        return lambda _arrived: count
    steps: tuple[Step, ...] = parse_path(count.removeprefix("payload."))

    def read(arrived: Arrived) -> int | None:
        found = lookup(arrived.payload, steps)
        return found if isinstance(found, int) else None

    return read
