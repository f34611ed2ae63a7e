"""The stage's transactional producer: one transaction a cycle, and the truth about how each ended.

A transaction ends in one of three ways: committed, aborted (its records run again from where they were), or unknown
(the broker went away, or another producer took the transactional id: then only the group's committed offsets tell).
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from streams.engine.batch import Batch, Output
from streams.engine.clients import (
    FORBIDDEN,
    REFUSALS,
    Verdict,
    acquainted,
    code_of,
    is_fencing,
    is_rebalance,
    name_of,
    verdict_on,
)
from streams.engine.stage import TP
from streams.engine.state import WriteSet
from streams.errors import ConfigurationRefused

log = structlog.get_logger(__name__)

_CALL_TIMEOUT_S = 5.0
# A call that librdkafka wants repeated, and that no repetition ends: seen for minutes after a coordinator had moved.
_INSIST_S = 15.0
_QUEUE_FULL_WAIT_S = 0.1
_FLUSH_STEP_S = 0.5

Origin = tuple[TP, int]


class TransactionAborted(Exception):
    """The transaction was not committed, for certain, or its end is unknown.

    Attributes:
        reason: label for the metric of aborts.
        outcome_known: False when it may have been committed.
        verdict: whether the producer can go on.
    """

    def __init__(self, reason: str, message: str, *, outcome_known: bool, verdict: Verdict = Verdict.ABORT) -> None:
        super().__init__(message)
        self.reason = reason
        self.outcome_known = outcome_known
        self.verdict = verdict


class TransactionalProducer:
    """Wraps librdkafka's producer with bounded calls and a verdict on each failure.

    Args:
        conf: librdkafka configuration with a transactional id.
        stopping: tells whether the worker wants to end, which bounds the waiting for an absent broker.
        report: told what it waits for.
    """

    def __init__(self, conf: dict[str, Any], stopping: Callable[[], bool], report: Callable[[str], None]) -> None:
        self._conf = conf
        self._report = report
        self._stopping = stopping
        self._producer: Producer | None = None
        self.in_transaction = False
        # Refused records by where they came from, and what else went wrong: only known in a traced cycle.
        self.refused: dict[Origin, KafkaError] = {}
        self.other_errors: set[str] = set()

    @property
    def _open_producer(self) -> Producer:
        assert self._producer is not None  # noqa: S101 open() comes first
        return self._producer

    def open(self) -> bool:
        """Make a producer and fence every earlier one with this transactional id; False when stopped meanwhile.

        `init_transactions` also ends what an earlier one left open, so committed offsets are final afterwards.
        """
        self.discard()
        self.in_transaction = False
        self._producer = acquainted(Producer(self._conf))
        patience_ends = time.monotonic() + _INSIST_S
        while not self._stopping():
            try:
                self._producer.init_transactions(_CALL_TIMEOUT_S)
            except KafkaException as error:
                if code_of(error) in FORBIDDEN:
                    raise ConfigurationRefused(f"{self._conf['transactional.id']}: {name_of(error)}") from error
                self._report(f"waiting for the transaction coordinator ({name_of(error)})")
                if verdict_on(error) is not Verdict.RETRY or time.monotonic() > patience_ends:
                    self.discard()
                    time.sleep(_QUEUE_FULL_WAIT_S)
                    self._producer = Producer(self._conf)
                    patience_ends = time.monotonic() + _INSIST_S
            else:
                return True
        return False

    def discard(self) -> None:
        """Forget the producer without waiting for what it still holds; the broker aborts that."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaException, SystemError):
                producer.purge()

    def begin(self) -> None:
        """Begin a transaction."""
        self._open_producer.begin_transaction()
        self.in_transaction = True
        # New ones: late reports of an earlier transaction's records must not count against this one's.
        self.refused, self.other_errors = {}, set()

    def put_out_early(self, batch: Batch) -> int:
        """Produce, on the agent's thread, what its records have put out so far; how many outputs are left.

        A record's outputs are final once it was handled: only the whole transaction can still fail. When the queue
        is full the rest is left to `put_out`, which waits, and so is what later batches of the partition put out.
        """
        out, tp = batch.out, TP(batch.topic, batch.partition)
        with batch.cycle.lock:
            if batch.cycle.dead or tp in batch.cycle.held_back:
                return len(out)
            produce = self._open_producer.produce
            done = 0
            try:
                for topic, value, key, partition, timestamp, headers in out:
                    produce(topic, value, key, partition, None, None, timestamp, headers)
                    done += 1
            except (BufferError, KafkaException):
                batch.cycle.held_back.add(tp)  # the engine's own thread meets it again in put_out, and judges it
            finally:
                del out[:done]
        return len(out)

    def put_out(self, batch: Batch) -> None:
        """Produce what a batch put out; in a traced cycle each record with its origin."""
        if batch.marks is not None:
            self._put_out_traced(batch)
            return
        produce = self._open_producer.produce
        for topic, value, key, partition, timestamp, headers in batch.out:
            try:
                produce(topic, value, key, partition, None, None, timestamp, headers)
            except BufferError:
                self._produce_when_room((topic, value, key, partition, timestamp, headers), None)

    def _put_out_traced(self, batch: Batch) -> None:
        tp = TP(batch.topic, batch.partition)
        start = 0
        assert batch.marks is not None  # noqa: S101 the caller looked
        for end, offset in batch.marks:
            for output in batch.out[start:end]:
                self._produce_when_room(output, self._judge((tp, offset)))
            start = end
        for output in batch.out[start:]:
            self._produce_when_room(output, self._judge(None))

    def _produce_when_room(self, output: Output, on_delivery: Callable[..., None] | None) -> None:
        topic, value, key, partition, timestamp, headers = output
        end = time.monotonic() + _CALL_TIMEOUT_S
        while True:
            try:
                self._open_producer.produce(topic, value, key, partition, on_delivery, None, timestamp, headers)
            except BufferError:
                if time.monotonic() > end:
                    raise TransactionAborted(
                        "queue-full", "the producer's queue stays full", outcome_known=True
                    ) from None
                self._open_producer.poll(_QUEUE_FULL_WAIT_S)
            except KafkaException as error:
                if on_delivery is None:
                    raise
                on_delivery(error.args[0], None)
                return
            else:
                return

    def _judge(self, origin: Origin | None) -> Callable[..., None]:
        refused, other_errors = self.refused, self.other_errors

        def on_delivery(error: KafkaError | None, _message: object) -> None:
            if error is None:
                return
            local = {KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}  # noqa: SLF001 the library's names
            if origin is not None and (error.code() in REFUSALS or error.code() in local):
                refused[origin] = error
            else:
                other_errors.add(error.name())

        return on_delivery

    def put_changelog(self, writes: WriteSet, on_last: Callable[[int], None], *, traced: bool) -> None:
        """Produce one changelog record per dirty key; `on_last` gets the last one's offset when it is delivered."""
        table = writes.table
        writes.settle()
        *items, (last_key, last_value) = writes.in_bytes().items()
        produce, topic, partition = self._open_producer.produce, table.changelog, table.partition
        for key, value in items:
            if traced:
                self._produce_when_room((topic, value, key, partition, 0, None), self._judge(writes.origins.get(key)))
                continue
            try:
                produce(topic, value, key, partition)
            except BufferError:
                self._produce_when_room((topic, value, key, partition, 0, None), None)
        on_delivery = _then(on_last, self._judge(writes.origins.get(last_key)))
        self._produce_when_room((topic, last_value, last_key, partition, 0, None), on_delivery)

    def poll(self) -> None:
        """Serve delivery reports without waiting."""
        self._open_producer.poll(0)

    def commit(self, offsets: Iterable[tuple[TP, int]], group_metadata: Any) -> None:
        """Flush, add the offsets (fenced by the group's membership, KIP-447) and commit.

        Raises:
            TransactionAborted: it did not commit, or nobody knows.
        """
        producer = self._open_producer
        positions = [TopicPartition(tp.topic, tp.partition, offset) for tp, offset in offsets]
        try:
            producer.flush(_FLUSH_STEP_S)
            self._insist_on_delivery()
            # Also tells at once of a transaction that has failed, whose other records would be waited for in vain.
            self._send_offsets(producer, positions, group_metadata)
            self._flush(producer)
            self._insist_on_delivery()
        except (KafkaException, SystemError) as error:
            raise transaction_aborted(error, outcome_known=True) from error
        try:
            self._insist(lambda: producer.commit_transaction(_CALL_TIMEOUT_S))
        except (KafkaException, SystemError) as error:
            raise transaction_aborted(error, outcome_known=False) from error
        self.in_transaction = False

    def _send_offsets(self, producer: Producer, positions: list[TopicPartition], group_metadata: Any) -> None:
        """Add the offsets, once, in a thread that can be left behind.

        librdkafka's call ignores its timeout (issue 5456): when the group's coordinator restarts it may not return,
        and a second call never does. Then only another producer helps, which also fences what the call sends late.
        """
        answers: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

        def call() -> None:
            try:
                producer.send_offsets_to_transaction(positions, group_metadata, _CALL_TIMEOUT_S)
            except (KafkaException, SystemError) as error:
                answers.put(error)
            else:
                answers.put(None)

        threading.Thread(target=call, name="send-offsets", daemon=True).start()
        try:
            error = answers.get(timeout=_CALL_TIMEOUT_S + 1)
        except queue.Empty:
            raise TransactionAborted(
                "error", "the group's coordinator does not answer", outcome_known=False, verdict=Verdict.FENCED
            ) from None
        if error is not None and verdict_on(error) is Verdict.RETRY:
            raise TransactionAborted("error", name_of(error), outcome_known=False, verdict=Verdict.FENCED) from error
        if error is not None:
            raise error

    def _insist_on_delivery(self) -> None:
        """An output that librdkafka refused at once never entered the transaction, and so does not fail it."""
        missed = {*self.other_errors, *(error.name() for error in self.refused.values())}
        if missed:
            names = ", ".join(sorted(missed))
            raise TransactionAborted("error", f"not everything was delivered: {names}", outcome_known=True)

    def _flush(self, producer: Producer) -> None:
        """Wait until everything is delivered or given up (message.timeout.ms bounds it)."""
        end = time.monotonic() + 2 * _CALL_TIMEOUT_S
        while not self.refused and producer.flush(_FLUSH_STEP_S) and time.monotonic() < end:
            pass

    def _insist(self, call: Callable[[], None]) -> None:
        """Repeat a call while librdkafka says that only that is right; end when the worker stops.

        Raises:
            TransactionAborted: it has gone on for too long; another producer finds out how the transaction ended.
        """
        end = time.monotonic() + _INSIST_S
        while True:
            try:
                call()
            except KafkaException as error:
                if verdict_on(error) is not Verdict.RETRY or self._stopping():
                    raise
                if time.monotonic() > end:
                    raise TransactionAborted(
                        "error", "the transaction coordinator does not answer", outcome_known=False,
                        verdict=Verdict.FENCED,
                    ) from None  # fmt: skip
                self._report(f"waiting for the transaction coordinator ({name_of(error)})")
            else:
                return

    def abort(self) -> bool:
        """Abort the open transaction; False when this producer must not go on (it is fenced: open another)."""
        if not self.in_transaction:
            return True
        self.in_transaction = False
        if KafkaError(KafkaError._MSG_TIMED_OUT).name() in self.other_errors:  # noqa: SLF001 the library's name
            return False  # for a topic that was deleted this producer would wait for ever; the next one asks anew
        producer = self._open_producer
        try:
            producer.purge()  # else the abort waits for records of a transaction that is over
            self._insist(lambda: producer.abort_transaction(_CALL_TIMEOUT_S))
        except (KafkaException, SystemError, TransactionAborted) as error:
            log.warning("the transaction could not be aborted", error=name_of(error))
            return False
        return True


def _then(on_last: Callable[[int], None], judge: Callable[..., None]) -> Callable[..., None]:
    """Tell `on_last` the offset of a delivered record, and the judge of one that was not."""

    def delivered(error: KafkaError | None, message: Any) -> None:
        if error is None:
            on_last(message.offset())
        else:
            judge(error, message)

    return delivered


def transaction_aborted(error: BaseException, *, outcome_known: bool) -> TransactionAborted:
    """What a failed call of the producer means for its transaction."""
    verdict = verdict_on(error)
    reason = "fenced" if is_fencing(error) else "rebalance" if is_rebalance(error) else "error"
    known = outcome_known and verdict is not Verdict.FENCED
    aborted = TransactionAborted(reason, name_of(error), outcome_known=known, verdict=verdict)
    aborted.__cause__ = error
    return aborted
