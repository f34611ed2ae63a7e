"""Idempotent receiver: each message once within a window of stream time, however often its producer sent it.

A message is known by ce_source and ce_id together (CloudEvents 1.0: unique for each event), in the partition that it
came to: whoever sends again sends with the same key. Rows `id:<p>:<source> <id>` hold stream time at the first and
its number among the entries; one leaves with its entry.
"""

from streams.errors import InvalidMessage
from streams.messages import headers as names
from streams.messages.headers import text_of
from streams.messages.message import Record
from streams.patterns.passing import PassOn, raw_headers
from streams.patterns.stream_time import Rows, StreamTime
from streams.routing.admission import RawHeaders


class IdempotentReceiver:
    """Sees the records of one batch.

    Args:
        rows: of the table `ids` in this partition.
        partition: its number.
        window_ms: how long a message is remembered.
        pass_on: puts out a record that is new.
    """

    def __init__(self, rows: Rows, partition: int, window_ms: int, pass_on: PassOn) -> None:
        self._rows = rows
        self._partition = partition
        self._time = StreamTime(rows, partition, window_ms)
        self._pass_on = pass_on
        self.duplicates = 0

    def handle(self, record: Record) -> None:
        """Pass a record on, unless it came before.

        Raises:
            InvalidMessage: its ce_ headers do not say who it is.
        """
        raw = raw_headers(record)
        identity = identity_of(record, raw)
        now = self._time.tick(record.timestamp()[1])
        self._forget()
        seen = self._rows.get(self._key(identity))
        if seen is not None and not self._time.is_over(seen[0], now):
            self.duplicates += 1
            return
        self._rows.set(self._key(identity), [now, self._time.enter(identity)])
        self._pass_on(record, raw)

    def _forget(self) -> None:
        for entry in self._time.leave():
            key = self._key(entry.what)
            seen = self._rows.get(key)
            if seen is not None and seen[1] == entry.number:
                self._rows.delete(key)

    def _key(self, identity: str) -> bytes:
        return f"id:{self._partition}:{identity}".encode()


def identity_of(record: Record, raw: RawHeaders) -> str:
    """Source and id of a message; of one without ce_ headers its place, which no other has.

    Raises:
        InvalidMessage: it has some of them and not these, or they are no text.
    """
    headers = dict(raw)
    if not any(name.startswith("ce_") for name in headers):
        return f"{record.topic()}-{record.partition()}-{record.offset()}"
    for name in (names.SOURCE, names.ID):
        if name not in headers:
            raise InvalidMessage(f"header {name} is missing; a message needs {', '.join(names.REQUIRED)}")
    return f"{text_of(names.SOURCE, headers[names.SOURCE])} {text_of(names.ID, headers[names.ID])}"
