"""How a stage is: its state, what it waits for, what its Kafka clients complain of; told without flooding the log."""

import time

import structlog
from confluent_kafka import KafkaError

from streams.engine.clients import ErrorCallback
from streams.engine.meter import Meter
from streams.engine.status import StageState

log = structlog.get_logger(__name__)

_SAY_AGAIN_S = 5.0
_SLOW_S = 3.0  # a turn of the engine takes milliseconds; what takes longer is told
_DOWN_S = 3.0  # librdkafka says again every second that no broker is there
_AT_WORK = frozenset({"starting", "restoring", "running"})
_TELLING = frozenset({KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError._RESOLVE})  # noqa: SLF001 their names


class Health:
    """State and reason of one stage, for its status; each thing is logged once in five seconds at most."""

    def __init__(self, stage: str, meter: Meter) -> None:
        self.state: StageState = "waiting"
        self.reason = "it has not started yet"
        self._stage = stage
        self._meter = meter
        self._said: dict[str, float] = {}
        self._cause = ""
        self._down_at = -_DOWN_S
        self._doing = ("", time.monotonic())

    def wait_for(self, what: str) -> None:
        """Say what the stage waits for, with the cause that a client told of, if any."""
        self.reason = f"{what}; {self._cause}" if self._cause else what
        if self.state in _AT_WORK:
            self.state = "waiting"
        if self._due(what):
            log.warning(self.reason, stage=self._stage)

    def doing(self, what: str) -> None:
        """Note what the engine's thread is about to ask of Kafka, for the case that this does not return soon.

        Empty: something else, for which a slow stage is not unready.
        """
        self._doing = (what, time.monotonic())

    def told(self) -> tuple[StageState, str]:
        """State and reason, for the status; may be asked on any thread.

        A stage that runs, but is held up in one thing, waits for that: a commit may take half a minute while brokers
        are away, in which the engine's thread can say nothing itself.
        """
        what, since = self._doing
        held_up_s = time.monotonic() - since
        if what and self.state == "running" and held_up_s > _SLOW_S:
            return "waiting", f"{what}, for {held_up_s:.0f} s now"
        return self.state, self.reason

    @property
    def brokers_down(self) -> bool:
        """Whether the consumer has just said that it has no connection to any broker."""
        return time.monotonic() - self._down_at < _DOWN_S

    def become(self, state: StageState, reason: str = "") -> None:
        """Change the state; a change is logged."""
        if state != self.state:
            log.info(state, stage=self._stage)
        self.state, self.reason = state, reason
        self._cause = ""

    def on_client_error(self, client: str) -> ErrorCallback:
        """Callback for a client's errors: a bad password, for one, is told nowhere else."""

        def on_error(error: KafkaError) -> None:
            self._meter.client_error(client, error)
            if error.code() == KafkaError._ALL_BROKERS_DOWN and client == "consumer":  # noqa: SLF001 its name
                self._down_at = time.monotonic()
            if error.code() in _TELLING:
                self._cause = error.str()
            if error.fatal() or self._due(f"{client} {error.name()}"):
                level = log.error if error.fatal() else log.info
                level("kafka client", stage=self._stage, client=client, error=error.name(), text=error.str())

        return on_error

    def _due(self, what: str) -> bool:
        now = time.monotonic()
        due = now - self._said.get(what, -_SAY_AGAIN_S) >= _SAY_AGAIN_S
        if due:
            self._said[what] = now
        return due
