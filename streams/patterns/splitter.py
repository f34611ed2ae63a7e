"""Splitter: one message for each item of a list, each with an id of its own place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streams.messages.codec import Encode
from streams.messages.message import Record
from streams.patterns.by_name import Split
from streams.routing.router import RoutedBatch
from streams.transforming.outgoing import Dress
from streams.transforming.reading import MessageReader


@dataclass(frozen=True, slots=True)
class CompiledSplitter:
    """A splitter for what the registry holds.

    Args:
        reader: of its source.
        splits: by short name of the source's contracts.
        encode: of what it makes.
        dress: key and headers of it.
        destination: where it goes.
    """

    reader: MessageReader
    splits: Mapping[str, Split]
    encode: Encode
    dress: Dress
    destination: str

    def bind(self, batch: RoutedBatch, now: float) -> Callable[[Record], None]:
        """Handler of the records of `batch`; it raises InvalidMessage or MessageExpired, or puts out all items."""

        def handle(record: Record) -> None:
            arrived = self.reader.read(record, now)
            for index, payload in enumerate(self.splits[arrived.ce_type](arrived.payload)):
                key, headers = self.dress(record.key(), arrived.raw, arrived.headers, payload, index)
                partition = -1 if key is not None else batch.partition % batch.partitions_of(self.destination)
                timestamp_ms = max(record.timestamp()[1], 0)
                batch.out.append((self.destination, self.encode(payload), key, partition, timestamp_ms, headers))

        return handle
