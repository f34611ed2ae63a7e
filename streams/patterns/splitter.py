"""Splitter: one message for each item of a list, each with an id of its own place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streams.messages.message import Record
from streams.patterns.by_name import Split
from streams.routing.router import RoutedBatch
from streams.transforming.making import Maker
from streams.transforming.reading import MessageReader


@dataclass(frozen=True, slots=True)
class CompiledSplitter:
    """A splitter for what the registry holds.

    Args:
        reader: of its source.
        splits: by short name of the source's contracts.
        maker: of what it makes.
    """

    reader: MessageReader
    splits: Mapping[str, Split]
    maker: Maker

    def bind(self, batch: RoutedBatch, now: float) -> Callable[[Record], None]:
        """Handler of the records of `batch`; it raises InvalidMessage or MessageExpired, or puts out all items."""

        def handle(record: Record) -> None:
            arrived = self.reader.read(record, now)
            for index, payload in enumerate(self.splits[arrived.ce_type](arrived.payload)):
                key, value, headers = self.maker.make(record.key(), arrived.raw, arrived.headers, payload, index)
                partition = -1 if key is not None else batch.partition % batch.partitions_of(self.maker.destination)
                timestamp_ms = max(record.timestamp()[1], 0)
                batch.out.append((self.maker.destination, value, key, partition, timestamp_ms, headers))

        return handle
