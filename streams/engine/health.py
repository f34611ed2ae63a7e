"""How a stage is: its state, what it waits for, what its Kafka clients complain of; told without flooding the log."""

import time

import structlog
from confluent_kafka import KafkaError

from streams.engine.clients import ErrorCallback
from streams.engine.meter import Meter
from streams.engine.status import StageState

log = structlog.get_logger(__name__)

_SAY_AGAIN_S = 5.0
_DOWN_S = 3.0  # librdkafka says again every second that no broker is there
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

    def wait_for(self, what: str) -> None:
        """Say what the stage waits for, with the cause that a client told of, if any."""
        self.reason = f"{what}; {self._cause}" if self._cause else what
        if self._due(what):
            log.warning(self.reason, stage=self._stage)

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
