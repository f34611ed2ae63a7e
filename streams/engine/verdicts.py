"""What to do about a cycle that failed: run it again (traced, smaller, later), convict a record, or stop the worker.

Holds the counts that bound every repetition. Knows no Kafka client; the loop asks it.
"""

from collections.abc import Callable, Mapping

import structlog
from confluent_kafka import KafkaError

from streams.engine import clients
from streams.engine.cycle import AgentFailed
from streams.engine.stage import TP, StageSpec
from streams.errors import ConfigurationRefused

log = structlog.get_logger(__name__)

POLL_RECORDS = 500
AGENT_ATTEMPTS = 4
TIMEOUTS_IN_A_ROW = 3
UNEXPLAINED_IN_A_ROW = 20
FENCED_AGAIN_S = 60.0  # a namesake fences back within seconds; a broker that restarts at most once in that time
RETRY_FIRST_S, RETRY_MAX_S = 0.1, 2.0


class Verdicts:
    """Failures in a row and what they have taught.

    Attributes:
        traced: run the next cycle with every output's origin known, to find whose output the broker refuses.
        poll_records: how many records to take at once; less after a timeout, so that a slow agent can finish.
    """

    def __init__(self, spec: StageSpec, instance_id: str) -> None:
        self._spec = spec
        self._instance_id = instance_id
        self._failures: dict[str, int] = {}
        self._failed_last = ""
        self._refused: dict[tuple[TP, int], KafkaError] = {}
        self._stripped: set[tuple[TP, int]] = set()
        self._fenced_out_at: float | None = None
        self.traced = False
        self.poll_records = POLL_RECORDS

    @property
    def trying_again(self) -> str:
        """What the last cycle failed by, from the second failure in a row on: what one repetition mends is no news."""
        return self._failed_last if sum(self._failures.values()) > 1 else ""

    def refused_at(self, tp: TP) -> dict[int, KafkaError]:
        """Offsets of convicted records of a partition."""
        return {offset: error for (of, offset), error in self._refused.items() if of == tp}

    def stripped_at(self, tp: TP) -> frozenset[int]:
        """Offsets of convicted records whose whole dead letter was too large as well."""
        return frozenset(offset for of, offset in self._stripped if of == tp)

    def committed(self, positions: Mapping[TP, int]) -> None:
        """A cycle committed up to `positions`: failures in a row are over."""
        self._failures.clear()
        self._fenced_out_at = None
        self.traced = False
        self.poll_records = min(POLL_RECORDS, self.poll_records * 2)
        if self._refused:
            kept = self._refused.items()
            self._refused = {(tp, o): error for (tp, o), error in kept if o >= positions.get(tp, 0)}
            self._stripped &= self._refused.keys()

    def judge(
        self, error: Exception, reason: str, refused: Mapping[tuple[TP, int], KafkaError], others: frozenset[str]
    ) -> None:
        """Learn from a failed cycle.

        Args:
            error: what ended it.
            reason: label of the abort.
            refused: records whose output the broker refused (traced cycles only).
            others: names of other delivery errors (traced cycles only).

        Raises:
            ConfigurationRefused: the worker must stop, and why.
        """
        if reason in {"lost", "rebalance", "revoked"}:
            return
        self._failed_last = f"{reason}: {error}"
        failures = self._failures[reason] = self._failures.get(reason, 0) + 1
        if isinstance(error, AgentFailed):
            self._judge_agent(error, reason, failures)
        elif reason == "fenced":
            if failures > 1:
                raise self._namesake() from error
        elif error.__cause__ is not None and clients.code_of(error.__cause__) in clients.FORBIDDEN:
            raise ConfigurationRefused(f"stage {self._spec.name} may not do this: {error}") from error
        else:
            self._judge_produce(error, failures, refused, others)

    def fenced_out(self, now_s: float) -> None:
        """The group took a static member for another one; that may be for nothing, once.

        Raises:
            ConfigurationRefused: it happened a minute ago or less, and nothing was committed since.
        """
        if self._fenced_out_at is not None and now_s - self._fenced_out_at < FENCED_AGAIN_S:
            raise self._namesake()
        self._fenced_out_at = now_s

    def _namesake(self) -> ConfigurationRefused:
        return ConfigurationRefused(
            f"stage {self._spec.name} was fenced twice: another worker has the instance id "
            f"{self._instance_id}; give each its own HEADRACE_INSTANCE_ID"
        )

    def _judge_agent(self, error: AgentFailed, reason: str, failures: int) -> None:
        if failures >= (TIMEOUTS_IN_A_ROW if reason == "timeout" else AGENT_ATTEMPTS):
            cause = f": {error.__cause__!r}" if error.__cause__ is not None else ""
            raise ConfigurationRefused(f"stage {self._spec.name} stops after {failures} attempts: {error}{cause}")
        if reason == "timeout":
            self.poll_records = max(1, self.poll_records // 8)

    def _judge_produce(
        self, error: Exception, failures: int, refused: Mapping[tuple[TP, int], KafkaError], others: frozenset[str]
    ) -> None:
        if refused:
            self._convict(refused)
        elif others & clients.REFUSAL_NAMES and failures >= AGENT_ATTEMPTS:
            raise ConfigurationRefused(
                f"stage {self._spec.name} stops after {failures} attempts: the broker refuses what an agent put out "
                f"or wrote outside batch.each(), where no record answers for it: {', '.join(sorted(others))}"
            ) from error
        elif others and others <= clients.UNEXPLAINED and failures >= UNEXPLAINED_IN_A_ROW:
            raise ConfigurationRefused(
                f"stage {self._spec.name} cannot commit after {failures} attempts: {error}"
            ) from error
        self.traced = True

    def _convict(self, refused: Mapping[tuple[TP, int], KafkaError]) -> None:
        for (tp, offset), verdict in refused.items():
            too_large = verdict.code() == KafkaError.MSG_SIZE_TOO_LARGE
            if (tp, offset) in self._refused and too_large and (tp, offset) not in self._stripped:
                self._stripped.add((tp, offset))
            elif (tp, offset) in self._refused:
                raise ConfigurationRefused(
                    f"the broker refused the dead letter of {tp}@{offset} too ({verdict.name()}); "
                    f"check max.message.bytes and the ACLs of {self._spec.dead_letters}"
                )
            log.warning("refused by the broker", stage=self._spec.name, record=f"{tp}@{offset}", error=verdict.name())
        self._refused.update(refused)
        self._failures.clear()

    def back_off(self, wait: Callable[[float], object]) -> None:
        """Wait before a cycle that failed more than once runs again, at most two seconds."""
        failures = max(self._failures.values(), default=0)
        if failures > 1:
            wait(min(RETRY_FIRST_S * 2**failures, RETRY_MAX_S))
