"""The demo's workers together: started, one of them killed and restarted on the way, asked, and stopped."""

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from streams.commerce.demo.narrator import Narrator
from streams.commerce.demo.workers import Worker
from streams.errors import HeadraceError

KILL_AT = 0.35  # of all messages
RESTART_AT = 0.65
_TABLE = "router.routes"
_AGREE_S = 20.0
_AGAIN_S = 0.3


@dataclass
class Fleet:
    """All workers; use `end` in a finally block, whatever happened."""

    workers: list[Worker]
    narrator: Narrator

    @classmethod
    def of(cls, count: int, folder: Path, bootstrap_servers: str, narrator: Narrator) -> "Fleet":
        """Prepare `count` workers that keep logs and state in `folder`."""
        names = [f"worker-{number}" for number in range(1, count + 1)]
        return cls([Worker(name, folder, bootstrap_servers) for name in names], narrator)

    def start(self) -> None:
        """Start all; `await_ready` tells when they serve."""
        for worker in self.workers:
            worker.start()

    def await_ready(self) -> None:
        """Wait, bounded, until each serves.

        Raises:
            HeadraceError: one ended or is not ready in time.
        """
        for worker in self.workers:
            worker.await_ready()

    def check_alive(self) -> None:
        """Raise when one ended by itself."""
        for worker in self.workers:
            worker.check_alive()

    def stop(self) -> list[str]:
        """Stop all with SIGTERM; what is off about how they ended."""
        for worker in self.workers:
            worker.ask_to_stop()
        return [
            f"{worker.name} should end with 0 on SIGTERM, but {ending}; its log: {worker.log}"
            for worker in self.workers
            if (ending := worker.await_end()) != "exit code 0"
        ]

    def end(self) -> None:
        """Kill what still runs."""
        for worker in self.workers:
            worker.kill()

    def routes(self) -> dict[str, int]:
        """Messages per route in table router.routes, as every worker tells it over HTTP.

        Any worker answers for all, so all have to say the same; a commit becomes visible a moment later.

        Raises:
            HeadraceError: they do not agree within 20 s, or one does not answer.
        """
        deadline = time.monotonic() + _AGREE_S
        before: list[Counter[str]] = []
        while True:
            try:
                answers = [_per_route(worker) for worker in self.workers]
            except HeadraceError:
                if time.monotonic() > deadline:
                    raise
                answers = []
            if answers and answers == before and all(answer == answers[0] for answer in answers):
                return dict(answers[0])
            if time.monotonic() > deadline:
                raise HeadraceError(f"the workers do not agree about {_TABLE}: {[dict(each) for each in answers]}")
            before = answers
            time.sleep(_AGAIN_S)


def _per_route(worker: Worker) -> Counter[str]:
    counts: Counter[str] = Counter()
    for key, row in worker.table(_TABLE).items():
        counts[key.split(":")[0]] += int(str(row["count"]))
    return counts


@dataclass
class Murder:
    """Kills the last worker when a third of the messages is sent, and starts it again when two thirds are."""

    fleet: Fleet
    messages: int
    _killed: bool = False
    _restarted: bool = False

    def at(self, sent: int) -> None:
        """Do what is due after `sent` messages."""
        victim = self.fleet.workers[-1]
        if not self._killed and sent >= self.messages * KILL_AT:
            self._killed = True
            victim.kill()
            self.fleet.narrator.event(f"kill -9 of {victim.name} after {sent:,} messages")
        if not self._restarted and sent >= self.messages * RESTART_AT:
            self._restarted = True
            victim.start()
            self.fleet.narrator.event(f"{victim.name} started again after {sent:,} messages")
