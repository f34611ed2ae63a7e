"""The consumers of a stage: the lead, which the group subscribes to, and the followers, which are assigned.

Gives the engine records grouped by partition and keeps every partition at the position it was told: a seek that
librdkafka refuses is tried again, and what arrives before it succeeds is dropped. Knows no transactions and no tables.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import groupby

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.config import Settings
from streams.engine.clients import ErrorCallback, acquainted, follower_config, lead_config, name_of
from streams.engine.stage import TP, StageSpec
from streams.errors import ConfigurationRefused

log = structlog.get_logger(__name__)

Runs = list[tuple[TP, list[Message]]]
RebalanceCallback = Callable[[list[int]], None]

_LEADER_S = 0.5
_NO_OFFSET = KafkaError(KafkaError._NO_OFFSET).str()  # noqa: SLF001 the library's name
_FOLLOWER_POLL_S = 0.02  # how long the lead may wait while a follower could have records
_FATAL = frozenset({KafkaError._FATAL, KafkaError._AUTO_OFFSET_RESET})  # noqa: SLF001
_FENCED_TEXT = KafkaError(KafkaError.FENCED_INSTANCE_ID).str()  # of a fatal error the binding gives no other trace


class MembershipFenced(Exception):
    """The group has another member with this one's `group.instance.id`: this consumer is finished.

    Either another worker has the same instance id, or a broker died between handing this member a new id and writing
    that down: then it takes the member for its own successor (KIP-345).
    """


class Sources:
    """Lead and follower consumers, moved together partition by partition.

    Args:
        spec: the stage.
        settings: where Kafka is.
        on_error: gets librdkafka's client errors.
    """

    def __init__(self, spec: StageSpec, settings: Settings, on_error: ErrorCallback) -> None:
        self._spec = spec
        self._lead_conf = lead_config(settings, spec, on_error)
        self._lead = acquainted(Consumer(self._lead_conf))
        self._subscribe: Callable[[], None] = lambda: None
        followers = Consumer(follower_config(settings, spec, on_error)) if spec.followers else None
        self._followers = acquainted(followers) if followers is not None else None
        self._following: dict[TP, int] = {}
        self._pending_seeks: dict[TP, int] = {}
        self._paused: set[int] = set()
        self._ended: dict[TP, int] = {}
        # Partitions of the lead of which the client was told that they have no offset; it refuses to seek in them.
        self._unplaced: set[int] = set()
        self._given_up: set[int] = set()
        self.member_id = ""
        self.on_receipt_error: Callable[[KafkaError], None] = lambda error: log.warning("consumer", error=str(error))

    def subscribe(self, assign: RebalanceCallback, revoke: RebalanceCallback, lost: RebalanceCallback) -> None:
        """Join the group; the callbacks get partition numbers of the lead and run inside `receive` and `close`."""

        def on_assign(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            consumer.incremental_assign(partitions)
            self.member_id = consumer.memberid() or ""
            assign([p.partition for p in partitions])

        def on_revoke(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            revoke([p.partition for p in partitions])
            consumer.incremental_unassign(partitions)

        def on_lost(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            lost([p.partition for p in partitions])
            consumer.incremental_unassign(partitions)

        def to_lead() -> None:
            self._lead.subscribe([self._spec.lead], on_assign=on_assign, on_revoke=on_revoke, on_lost=on_lost)

        self._subscribe = to_lead
        to_lead()

    def rejoin(self) -> None:
        """Join the group with another consumer, since the one there is has been fenced."""
        self._lead.close()
        self._lead = acquainted(Consumer(self._lead_conf))
        self._subscribe()

    def group_metadata(self) -> object:
        """The lead's membership, which fences the transaction's offsets (KIP-447)."""
        return self._lead.consumer_group_metadata()

    def receive(self, limit: int, timeout_s: float) -> Runs:
        """At most `limit` records of the lead and as many of the followers, as runs of one partition each.

        `consume(n, t)` would wait for n records or t seconds: so take what is there, else wait for one and take
        the rest without waiting.
        """
        self._retry_seeks()
        lead = self._lead
        records = lead.consume(limit, 0)
        followed = self._receive_followers(limit)
        if not records and not followed:
            first = lead.poll(min(timeout_s, _FOLLOWER_POLL_S) if self._following else timeout_s)
            if first is not None:
                records = [first, *lead.consume(limit - 1, 0)]
            else:
                followed = self._receive_followers(limit)
        return self._runs(records, lead=True) + self._runs(followed, lead=False)

    def _receive_followers(self, limit: int) -> list[Message]:
        return self._followers.consume(limit, 0) if self._followers is not None and self._following else []

    def _runs(self, records: list[Message], *, lead: bool) -> Runs:
        if not records:
            return []
        if any(map(Message.error, records)):
            records = [record for record in records if not self._examined(record)]
        if lead:
            topic = self._spec.lead
            partitions = groupby(records, Message.partition)
            runs = [(TP(topic, partition or 0), list(run)) for partition, run in partitions]
        else:
            by_tp = groupby(records, lambda record: TP(record.topic() or "", record.partition() or 0))
            runs = [(tp, list(run)) for tp, run in by_tp if tp in self._following]
        if self._pending_seeks:
            runs = [(tp, run) for tp, run in runs if tp not in self._pending_seeks]
        return _merged(runs)

    def _examined(self, record: Message) -> bool:
        """Whether this is an error, not a record; raises where the worker must not go on."""
        error = record.error()
        if error is None:
            return False
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 the library's name
            self._ended[TP(record.topic() or "", record.partition() or 0)] = record.offset() or 0
            return True
        if _FENCED_TEXT in error.str():
            raise MembershipFenced(_FENCED_TEXT)
        if error.code() in _FATAL or error.fatal():
            where = f"{record.topic()}/{record.partition()}" if record.topic() else self._spec.lead
            if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
                if _NO_OFFSET in error.str() and record.topic() == self._spec.lead:
                    self._unplaced.add(record.partition() or 0)
                    self._given_up.add(record.partition() or 0)
                    return True
                raise ConfigurationRefused(
                    f"group {self._spec.group} has no usable offset for {where} ({error.str()}); run "
                    f"`headrace topology apply` for a new group, or set one with `headrace replay {self._spec.name}`"
                )
            raise ConfigurationRefused(f"the consumer of {where} cannot go on: {error.name()}: {error.str()}")
        self.on_receipt_error(error)
        return True

    # -- positions

    def take_unplaced(self) -> set[int]:
        """Partitions of the lead that have to be opened again, since the client was told of no offset for them.

        A coordinator that has just taken over may say so of a group that has offsets: whether it is true is for the
        opening to find out.
        """
        taken, self._unplaced = self._unplaced, set()
        return taken

    def pause(self, partitions: Iterable[int]) -> None:
        """Stop fetching partitions of the lead."""
        paused = set(partitions)
        self._paused |= paused
        self._lead.pause([TopicPartition(self._spec.lead, p) for p in paused])

    def resume(self, partitions: Iterable[int]) -> None:
        """Fetch partitions of the lead again."""
        resumed = [TopicPartition(self._spec.lead, p) for p in partitions]
        self._paused -= set(partitions)
        self._lead.resume(resumed)
        with suppress(KafkaException):
            for partition in resumed:
                # librdkafka looks at a resumed partition again within a second, or as soon as its leader is asked.
                self._lead.get_watermark_offsets(partition, timeout=_LEADER_S)

    def stand_still(self, tp: TP, offset: int) -> None:
        """Stop fetching one source partition, and go back to `offset` for when it goes on."""
        self._consumer_of(tp).pause([TopicPartition(*tp)])
        self.seek(tp, offset)

    def go_on(self, tp: TP) -> None:
        """Fetch a source partition again."""
        if tp in self._following or tp.partition not in self._paused:
            with suppress(KafkaException):  # it moved away meanwhile
                self._consumer_of(tp).resume([TopicPartition(*tp)])

    def _consumer_of(self, tp: TP) -> Consumer:
        consumer = self._followers if tp in self._following else self._lead
        assert consumer is not None  # noqa: S101 a follower has its consumer
        return consumer

    def seek(self, tp: TP, offset: int) -> None:
        """Go to `offset` before the next record; what an open call still brings from elsewhere is dropped."""
        if tp in self._following:
            self._following[tp] = offset
        elif tp.topic != self._spec.lead:
            return
        self._pending_seeks[tp] = offset
        self._ended.pop(tp, None)

    def read_to(self, tp: TP) -> int:
        """Where the partition was found to end, markers and aborted records included; -1 where it was not (timers)."""
        return self._ended.get(tp, -1)

    def _retry_seeks(self) -> None:
        for tp, offset in list(self._pending_seeks.items()):
            consumer = self._consumer_of(tp)
            place = TopicPartition(tp.topic, tp.partition, offset)
            try:
                if tp.topic == self._spec.lead and tp.partition in self._given_up:
                    self._assign_again(place)
                else:
                    consumer.seek(place)
            except KafkaException as error:
                log.debug("a seek has to wait", partition=str(tp), offset=offset, error=name_of(error))
            else:
                del self._pending_seeks[tp]

    def _assign_again(self, place: TopicPartition) -> None:
        """Place a partition that the client has given up: it would refuse to seek there."""
        self._lead.incremental_unassign([place])
        self._lead.incremental_assign([place])
        if place.partition in self._paused:
            self._lead.pause([place])
        self._given_up.discard(place.partition)

    def follow(self, positions: dict[TP, int]) -> None:
        """Add partitions of followers, each from an offset."""
        if positions:
            self._following.update(positions)
            self._reassign_followers()

    def passed(self, tp: TP, offset: int) -> None:
        """Note where a follower stands, for the next time its partitions are assigned anew."""
        if tp in self._following:
            self._following[tp] = offset

    def drop(self, partitions: Iterable[int]) -> None:
        """Forget partitions of the lead that moved away, and stop following them."""
        gone = set(partitions)
        for tp in [tp for tp in self._ended if tp.partition in gone]:
            del self._ended[tp]
        for tp in [tp for tp in self._pending_seeks if tp.partition in gone]:
            del self._pending_seeks[tp]
        kept = {tp: offset for tp, offset in self._following.items() if tp.partition not in gone}
        if len(kept) != len(self._following):
            self._following = kept
            self._reassign_followers()

    def forget(self, partitions: Iterable[int]) -> None:
        """Partitions of the lead are not ours any more: if they come back, they are new."""
        gone = set(partitions)
        self._paused -= gone
        self._given_up -= gone

    def _reassign_followers(self) -> None:
        if self._followers is not None:
            self._followers.assign([TopicPartition(*tp, offset) for tp, offset in self._following.items()])

    def followed(self) -> dict[TP, int]:
        """Position of every follower partition: committed once a day, since the broker forgets unsubscribed ones."""
        return dict(self._following)

    def high_watermarks(self, tps: Iterable[TP]) -> dict[TP, int]:
        """End offsets as of the last fetch, from the client's memory."""
        ends = {}
        for tp in tps:
            try:
                _, high = self._consumer_of(tp).get_watermark_offsets(TopicPartition(*tp), cached=True)
            except KafkaException:
                continue
            if high >= 0:
                ends[tp] = high
        return ends

    def close(self) -> None:
        """Leave the group; revokes first."""
        self._lead.close()
        if self._followers is not None:
            self._followers.close()


def _merged(runs: Runs) -> Runs:
    """Runs of one partition joined: a consumer may give its partitions interleaved, each in order."""
    joined: dict[TP, list[Message]] = {}
    for tp, run in runs:
        if tp in joined:
            joined[tp].extend(run)
        else:
            joined[tp] = run
    return list(joined.items())
