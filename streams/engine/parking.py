"""Records that wait so that the order of their key is kept: failed ones until their retry, later ones behind them.

Each key that has trouble has a queue: its records in the order of arrival, each either here (parked) or away (a dead
letter). Records are handled from the front; at one that is away the queue stands still, until it is redriven or
discarded. So the order of a key holds through failure, redrive and live traffic, and other keys never notice.

The rows are those of the stage's table `parked`, written in the cycle's transaction:
    head:<queue>                    how long the queue is, and when its first record is due
    row:<queue>:<place, 20 digits>  a record; empty while it is away as a dead letter; absent once that is settled
    letter:<queue>:<topic>/<partition>@<offset>    the place of a letter that is away
Here are only the heads, mirrored. Pure: knows no Kafka; time and chance are arguments.
"""

import heapq
from collections.abc import Iterable
from dataclasses import asdict
from enum import Enum, auto
from typing import NamedTuple

import orjson

from streams.engine.parked_record import Consumed, Headers, ParkedRecord, decoded, encoded
from streams.engine.parked_rows import AWAY, HEAD, Committed, Head, Rows, identity, letter_key, row_key
from streams.engine.retrying import RETRIED, RetryPolicy
from streams.errors import Category

_EVENTS_SUFFIX = ".events"


class Place(Enum):
    """Where a record went that may not be handled now."""

    PARKED = auto()
    HELD = auto()  # it becomes a letter behind a letter of its key
    FULL = auto()  # nowhere: the partition has to stand still


class Spent(NamedTuple):
    """A record that becomes a dead letter, after so many attempts, the first of which failed then."""

    attempts: int
    since_ms: int


class Parking:
    """The queues of one partition.

    Args:
        policy: of the stage.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self.policy = policy
        self.heads: dict[bytes, Head] = {}
        self.size = 0
        self._due: list[tuple[int, bytes]] = []
        self._burying: set[bytes] = set()
        self._touched: set[bytes] = set()

    # -- the mirror and the table

    def load(self, heads: Iterable[tuple[bytes, bytes]]) -> None:
        """Take up the head rows of the table, after it was restored."""
        self.heads.clear()
        self._due.clear()
        self._burying.clear()
        self._touched.clear()
        self.size = 0
        for key, raw in heads:
            self._take(key.removeprefix(HEAD), raw)

    def committed(self) -> None:
        """The table has what the mirror has."""
        self._touched.clear()

    def rolled_back(self, committed: Committed) -> None:
        """The cycle was given up: see again what is committed."""
        for queue in self._touched:
            head = self.heads.pop(queue, None)
            self.size -= head.size if head is not None else 0
            self._burying.discard(queue)
            raw = committed.get_raw(HEAD + queue)
            if raw is not None:
                self._take(queue, raw)
        self._touched.clear()

    def _take(self, queue: bytes, raw: bytes) -> None:
        head = self.heads[queue] = Head(**orjson.loads(raw))
        self.size += head.size
        if head.due_ms:
            heapq.heappush(self._due, (head.due_ms, queue))
        if head.bury_at is not None:
            self._burying.add(queue)

    def _keep(self, rows: Rows, queue: bytes, head: Head) -> None:
        """Write the head, or remove it with the last record of its queue."""
        self._touched.add(queue)
        if head.first < head.end:
            self.heads[queue] = head
            rows.set_raw(HEAD + queue, orjson.dumps(asdict(head)))
        else:
            self.heads.pop(queue, None)
            rows.delete(HEAD + queue)

    # -- which queue, and when it is due

    def queue_of(self, record: Consumed) -> bytes:
        """Queue of a record: its key's; of an event its aggregate's; a record without order is alone in its own."""
        key = record.key()
        if key is None or self.policy.order == "none":
            return b"~" + identity(record)
        if str(record.topic()).endswith(_EVENTS_SUFFIX):
            return b"=" + (key.rpartition(b"/")[0] or key)
        return b"=" + key

    def next_due_ms(self) -> int | None:
        """When the next queue is due; None where none waits for a time."""
        while self._due:
            due_ms, queue = self._due[0]
            head = self.heads.get(queue)
            if head is not None and head.due_ms == due_ms:
                return due_ms
            heapq.heappop(self._due)
        return None

    def is_due(self, now_ms: int) -> bool:
        """Whether a queue waits for its first record to be handled."""
        due_ms = self.next_due_ms()
        return due_ms is not None and due_ms <= now_ms

    @property
    def burying(self) -> bool:
        """Whether parked records have to become letters behind one of their key."""
        return bool(self._burying)

    def has_room(self) -> bool:
        """Whether one more record may be parked."""
        return self.size < self.policy.most_bytes

    def take_due(self, rows: Rows, now_ms: int, limit: int) -> list[ParkedRecord]:
        """Records to handle now, at most `limit`, those of a queue in order; they stay due until they are settled."""
        taken: list[ParkedRecord] = []
        looked_at = []
        while len(taken) < limit and (due_ms := self.next_due_ms()) is not None and due_ms <= now_ms:
            _, queue = entry = heapq.heappop(self._due)
            looked_at.append(entry)
            taken += self._front(rows, queue, limit - len(taken))
        for entry in looked_at:
            heapq.heappush(self._due, entry)
        return taken

    def _front(self, rows: Rows, queue: bytes, limit: int) -> list[ParkedRecord]:
        """The records before the first that is away, as far as they are of one topic."""
        head = self.heads[queue]
        front: list[ParkedRecord] = []
        for place in range(head.first, min(head.end, head.first + limit)):
            raw = rows.get_raw(row_key(queue, place))
            if raw == AWAY:
                break
            if raw is not None:
                record = decoded(raw, queue, place)
                if front and record.of_topic != front[0].of_topic:
                    break
                front.append(record)
        return front

    def is_first(self, record: ParkedRecord) -> bool:
        """Whether it is this record's turn: what stood before it in its queue is settled."""
        head = self.heads.get(record.queue)
        return head is not None and head.first == record.seq and bool(head.due_ms)

    # -- what becomes of records

    def join(self, rows: Rows, queue: bytes, record: Consumed, headers: Headers, *, in_any_case: bool = False) -> Place:
        """A new record of a queue that exists: behind the parked ones, or a letter behind letters.

        `in_any_case` parks it even where there is no room.
        """
        head = self.heads[queue]
        if not head.records and not head.redriving:
            self._send_away(rows, queue, head.end, record)
            head.end += 1
            self._keep(rows, queue, head)
            return Place.HELD
        if not in_any_case and (head.records >= self.policy.most_of_a_key or not self.has_room()):
            return Place.FULL
        self._append(rows, queue, head, encoded(record, headers))
        self._keep(rows, queue, head)
        return Place.PARKED

    def failed(
        self,
        rows: Rows,
        record: Consumed,
        headers: Headers,
        category: Category,
        now_ms: int,
        *,
        chance: float,
        retries: int | None = None,
        in_any_case: bool = False,
    ) -> Spent | Place:
        """A record failed: park it until its retry, or it is spent and becomes a letter, which may hold its key.

        Args:
            rows: the table.
            record: a consumed one whose key has no queue, or a parked one whose turn it was.
            headers: the record's.
            category: of its failure.
            now_ms: unix milliseconds.
            chance: from 0 to 1, varies the backoff.
            retries: in place of the policy's, where a destination has its own.
            in_any_case: park it even where there is no room.
        """
        parked = record if isinstance(record, ParkedRecord) else None
        queue = parked.queue if parked else self.queue_of(record)
        head = self.heads[queue] if parked else Head()
        head.attempts += 1
        head.since_ms = head.since_ms or now_ms
        if category in RETRIED and head.attempts <= (self.policy.retries if retries is None else retries):
            if parked is None:
                if not (in_any_case or self.has_room()):
                    return Place.FULL
                self._append(rows, queue, head, encoded(record, headers))
            self._schedule(queue, head, now_ms + round(1000 * self.policy.backoff_s(head.attempts, chance)))
            self._keep(rows, queue, head)
            return Place.PARKED
        spent = Spent(head.attempts, head.since_ms)
        if self.policy.holds(category):
            self._hold(rows, queue, head, record)
        elif parked is not None:
            self.settled(rows, parked, now_ms)
        return spent

    def settled(self, rows: Rows, record: ParkedRecord, now_ms: int) -> None:
        """A parked record was handled, or became a letter that holds nothing."""
        head = self.heads[record.queue]
        self._remove(rows, record.queue, head, record.seq)
        self._advance(rows, record.queue, head, now_ms)

    def postpone(self, rows: Rows, record: ParkedRecord, due_ms: int) -> None:
        """Try again later without counting an attempt: the other side is down."""
        head = self.heads[record.queue]
        self._schedule(record.queue, head, due_ms)
        self._keep(rows, record.queue, head)

    def bury(self, rows: Rows, limit: int) -> list[ParkedRecord]:
        """Records that become letters because one before them did, in order, at most `limit`."""
        buried: list[ParkedRecord] = []
        for queue in sorted(self._burying):
            head = self.heads[queue]
            place = head.bury_at or 0
            while place < head.end and len(buried) < limit:
                raw = rows.get_raw(row_key(queue, place))
                if raw:
                    buried.append(decoded(raw, queue, place))
                    self._remove(rows, queue, head, place)
                    self._send_away(rows, queue, place, buried[-1])
                place += 1
            head.bury_at = place if place < head.end else None
            if head.bury_at is None:
                self._burying.discard(queue)
            self._keep(rows, queue, head)
        return buried

    # -- dead letters that come back

    def redrive(self, rows: Rows, letter: Consumed, headers: Headers, now_ms: int, *, holding: bool) -> bool:
        """A letter comes back to its place in its queue; False where it has been settled before.

        Args:
            rows: the table.
            letter: the record as it was when it failed: its topic, partition and offset say which it is.
            headers: its own, without those of its failure.
            now_ms: unix milliseconds.
            holding: whether it was of a category that holds its key, so that its place is known.
        """
        queue = self.queue_of(letter)
        place = self._recall(rows, queue, letter)
        if place is None and holding and self.policy.order == "key":
            return False
        head = self.heads.get(queue) or Head()
        raw = encoded(letter, headers)
        if place is None:
            self._append(rows, queue, head, raw)
        else:
            rows.set_raw(row_key(queue, place), raw)
            head.records += 1
            head.size += len(raw)
            self.size += len(raw)
            head.redriving = True
        self._advance(rows, queue, head, now_ms)
        return True

    def discard(self, rows: Rows, letter: Consumed, now_ms: int) -> bool:
        """A letter is given up for good; False where it held nothing."""
        queue = self.queue_of(letter)
        place = self._recall(rows, queue, letter)
        if place is None:
            return False
        rows.delete(row_key(queue, place))
        self._advance(rows, queue, self.heads[queue], now_ms)
        return True

    # -- steps

    def _append(self, rows: Rows, queue: bytes, head: Head, raw: bytes) -> None:
        rows.set_raw(row_key(queue, head.end), raw)
        head.end += 1
        head.records += 1
        head.size += len(raw)
        self.size += len(raw)

    def _remove(self, rows: Rows, queue: bytes, head: Head, place: int) -> None:
        raw = rows.get_raw(row_key(queue, place)) or b""
        rows.delete(row_key(queue, place))
        head.records -= 1
        head.size -= len(raw)
        self.size -= len(raw)

    def _hold(self, rows: Rows, queue: bytes, head: Head, record: Consumed) -> None:
        """The record is a letter now; what stands behind it follows, and so does what comes."""
        if isinstance(record, ParkedRecord):
            place = record.seq
            self._remove(rows, queue, head, place)
        else:
            place = head.end
            head.end += 1
        self._send_away(rows, queue, place, record)
        head.attempts = head.since_ms = head.due_ms = 0
        head.redriving = False
        if head.records:
            head.bury_at = place + 1
            self._burying.add(queue)
        self._keep(rows, queue, head)

    def _send_away(self, rows: Rows, queue: bytes, place: int, record: Consumed) -> None:
        rows.set_raw(row_key(queue, place), AWAY)
        rows.set_raw(letter_key(queue, record), b"%d" % place)

    def _recall(self, rows: Rows, queue: bytes, letter: Consumed) -> int | None:
        raw = rows.get_raw(letter_key(queue, letter))
        if raw is None:
            return None
        rows.delete(letter_key(queue, letter))
        return int(raw)

    def _advance(self, rows: Rows, queue: bytes, head: Head, now_ms: int) -> None:
        """Go past what is settled; what stands first then is due at once, unless it is away."""
        before = head.first
        raw = None
        while head.first < head.end and (raw := rows.get_raw(row_key(queue, head.first))) is None:
            head.first += 1
        if head.first != before:
            head.attempts = head.since_ms = head.due_ms = 0
        if raw and not head.due_ms:
            self._schedule(queue, head, now_ms)
        self._keep(rows, queue, head)

    def _schedule(self, queue: bytes, head: Head, due_ms: int) -> None:
        head.due_ms = due_ms
        heapq.heappush(self._due, (due_ms, queue))
