"""Seeded faults, one after the other, while the load runs."""

import collections
import random
import signal
import time

from streams.dev.cluster import KafkaCluster
from tests.chaos.crew import Member

LONGEST_FREEZE_S = 16.0


class Faults:
    """Injects faults from a seed and counts them by kind.

    Args:
        random_source: decides everything.
        crew: workers; the last one is the one that joins and leaves.
        cluster: its brokers are killed and restarted, one at a time.
        longest_freeze_s: bound of a SIGSTOP.
    """

    def __init__(
        self, random_source: random.Random, crew: list[Member], cluster: KafkaCluster, longest_freeze_s: float
    ) -> None:
        self._random = random_source
        self._crew = crew
        self._cluster = cluster
        self._longest_freeze_s = longest_freeze_s
        self.counts: collections.Counter[str] = collections.Counter()
        self.unexpected: list[str] = []

    def inject(self, kind: str) -> None:
        """One fault of `kind`, with its recovery."""
        self.restart_the_dead()
        getattr(self, f"_{kind}")()
        self.counts[kind] += 1

    def restart_the_dead(self) -> None:
        """A supervisor's part; a worker that ended by itself with an unforeseen code is noted."""
        for member in self._crew[:-1]:
            if not member.running:
                assert member.process is None or member.process.returncode is not None
                code = member.process.returncode if member.process is not None else 0
                if code not in {0, 9, -9}:
                    self.unexpected.append(f"{member.name} ended with {code}")
                member.start()

    def _victim(self) -> Member:
        return self._random.choice([member for member in self._crew[:-1] if member.running])

    def _kill(self) -> None:
        victim = self._victim()
        victim.kill()
        time.sleep(self._random.uniform(0, 3))  # how long it stays away is part of the fault
        victim.start()

    def _freeze(self) -> None:
        victim = self._victim()
        victim.freeze()
        time.sleep(self._random.uniform(3, self._longest_freeze_s))
        victim.thaw()

    def _stop(self) -> None:
        victim = self._victim()
        if victim.stop() not in {0, -signal.SIGTERM}:  # the latter: it was still importing, and held nothing
            self.unexpected.append(f"{victim.name} ended with {victim.exit_codes[-1]} after SIGTERM")
        victim.start()

    def _join(self) -> None:
        extra = self._crew[-1]
        if extra.running:
            extra.stop()
        else:
            extra.start()

    def _crash(self) -> None:
        victim = self._victim()
        victim.kill()
        victim.start(crash_after=self._random.randint(2, 40))

    def _broker(self) -> None:
        node = self._random.randint(1, len(self._cluster.layout.nodes))
        self._cluster.kill(node)
        time.sleep(self._random.uniform(0, 4))
        self._cluster.restart(node)


def schedule(random_source: random.Random, count: int) -> list[str]:
    """Kinds of `count` faults: each kind at least once, in random order."""
    kinds = ["kill", "freeze", "stop", "join", "crash", "broker"]
    weights = [4, 3, 2, 2, 2, 2]
    chosen = kinds + random_source.choices(kinds, weights, k=max(count - len(kinds), 0))
    random_source.shuffle(chosen)
    return chosen[:count]
