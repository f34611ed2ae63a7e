"""Looks on while brokers fail: how long readers of the output go without, and what the workers say meanwhile."""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from confluent_kafka import Message

from streams.config import Settings
from streams.engine.topic_reader import follow_topics
from tests.chaos import workload
from tests.chaos.crew import STAGES, Member
from tests.chaos.domain import OUT
from tests.chaos.reading import ask
from tests.chaos.recount import DESTINATIONS

_LOOK_S = 0.25
_LONGEST_S = 3600.0
ROUTER, COUNTING = STAGES


class Output(threading.Thread):
    """Reads what is committed as it comes, and keeps the longest time without, by source partition of each stage."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="output", daemon=True)
        self._settings = settings
        self.reading = threading.Event()
        self._ended = threading.Event()
        self._seen: dict[tuple[str, int], int] = {}
        self._at: dict[tuple[str, int], float] = {}
        self._longest: dict[str, float] = {}
        self._lanes = [(stage, p) for stage in STAGES for p in range(workload.PARTITIONS)]
        self.mark()

    def run(self) -> None:
        topics = [*DESTINATIONS, OUT]
        ended = self._ended.is_set
        follow_topics(self._settings, topics, self._note, ready=self.reading.set, finished=ended, timeout_s=_LONGEST_S)

    def _note(self, message: Message) -> None:
        number, now = number_of(message), time.monotonic()
        stage = COUNTING if message.topic() == OUT else ROUTER
        lane = stage, workload.partition(number)
        self._longest[stage] = max(self._longest[stage], now - self._at[lane])
        self._at[lane] = now
        self._seen[lane] = max(number, self._seen.get(lane, -1))

    def mark(self) -> None:
        """Begin to measure."""
        now = time.monotonic()
        self._at = dict.fromkeys(self._lanes, now)
        self._longest = dict.fromkeys(STAGES, 0.0)

    def longest_pause_s(self, stage: str) -> float:
        """The longest time since `mark` in which some partition of a stage had no output."""
        now = time.monotonic()
        return max(self._longest[stage], *(now - at for (of, _), at in self._at.items() if of == stage))

    def passed(self, number: int) -> bool:
        """Whether each partition of each stage has put out a record sent after `number`."""
        return all(self._seen.get(lane, -1) > number for lane in self._lanes)

    def end(self) -> None:
        """Stop reading."""
        self._ended.set()
        if self.is_alive():
            self.join(30)


def number_of(message: Message) -> int:
    """The number of the record that an output came from."""
    if message.topic() == OUT:
        return int((message.value() or b"").partition(b":")[0])
    return int(dict(message.headers() or ())["ce_id"] or 0)


class Tellings(threading.Thread):
    """Asks /readyz of every worker all the time and keeps the different things it said it waits for."""

    def __init__(self, crew: Iterable[Member]) -> None:
        super().__init__(name="tellings", daemon=True)
        self._crew = list(crew)
        self._ended = threading.Event()
        self._positions: dict[Path, int] = {}
        self.said: Counter[str] = Counter()
        self.waited: set[tuple[str, str]] = set()  # worker, stage

    def run(self) -> None:
        while not self._ended.wait(_LOOK_S):
            for member in self._crew:
                lines = waiting_for(member)
                self.waited |= {(member.name, line.partition(":")[0]) for line in lines}
                self.said.update(map(without_numbers, lines))

    def mark(self) -> None:
        """Begin to collect."""
        self.said, self.waited = Counter(), set()
        self._positions = {member.log: member.log.stat().st_size for member in self._crew if member.log.exists()}

    def logged(self) -> Counter[str]:
        """Warnings and errors that the workers logged since `mark`, by text and reason."""
        lines: Counter[str] = Counter()
        for member in self._crew:
            with member.log.open("rb") as file:
                file.seek(self._positions.get(member.log, 0))
                lines.update(_told(line) for line in file)
        lines.pop("", None)
        return lines

    def end(self) -> None:
        """Ask no more."""
        self._ended.set()
        if self.is_alive():
            self.join(30)


def waiting_for(member: Member) -> list[str]:
    """What a worker says it waits for."""
    status, body = ask(member, "/readyz", {})
    return [str(line) for line in body["waiting_for"]] if status else ["(no answer)"]


def without_numbers(line: str) -> str:
    """So that lines about different partitions and addresses count as one."""
    return re.sub(r"\d+", "n", line)


def _told(line: bytes) -> str:
    try:
        entry = json.loads(line)
    except ValueError:
        return "(no JSON) " + without_numbers(line.decode(errors="replace").strip())[:120]
    if entry.get("level") not in {"warning", "error", "critical"}:
        return ""
    parts = [str(entry.get(name, "")) for name in ("event", "reason", "error")]
    return without_numbers(" | ".join(part for part in parts if part))
