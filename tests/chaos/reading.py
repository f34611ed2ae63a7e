"""Writers and readers of the counting stage's table: what is written, what of it may be read when, and what was.

The n-th record of a key makes its row n at least. So a reader knows what a row has to be: not less than the record
whose position it asks for, and, position or none, not less than anybody has been told before it asked.
"""

import collections
import http.client
import json
import random
import threading
import time
import urllib.error
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import quote

from confluent_kafka import (
    KafkaError,
    Message,
    Producer,  # noqa: TID251 the world outside
)

from streams.config import Settings
from streams.dev.readiness import await_condition
from tests.chaos.crew import Member
from tests.chaos.domain import FOLLOW, LEAD

TABLE = "/api/tables/counting.counts"
NO_ANSWER = "no answer"
PATIENCE_S = 2.0  # shorter than a freeze: others must go on being asked, or nobody is told anything new


@dataclass
class Ledger:
    """What is known of each key: its delivered records, and the highest count that any reader was told."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    written: dict[str, tuple[int, dict[str, int]]] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=lambda: collections.defaultdict(int))

    def record(self, key: str, count: int, message: Message) -> None:
        """The `count`-th record of `key` is in Kafka."""
        place = f"{message.topic()}/{message.partition()}"
        with self.lock:
            before = self.written.get(key, (0, {}))
            self.written[key] = (max(count, before[0]), {**before[1], place: message.offset() or 0})

    def tell(self, key: str, count: int) -> None:
        with self.lock:
            self.told[key] = max(self.told[key], count)


class Writer(threading.Thread):
    """Sends records to both sources of the stage at a rate until it is stopped."""

    def __init__(self, settings: Settings, ledger: Ledger, keys: Sequence[str], rate: float) -> None:
        super().__init__(name="writer", daemon=True)
        self.errors: list[str] = []
        self._ledger, self._keys, self._rate = ledger, keys, rate
        self._enough = threading.Event()
        self._producer = Producer(
            {**settings.kafka_config(), "enable.idempotence": True, "linger.ms": 2, "partitioner": "murmur2_random"}
        )

    def run(self) -> None:
        counts: dict[str, int] = collections.defaultdict(int)
        chance = random.Random(1)
        while not self._enough.wait(1 / self._rate):
            key = chance.choice(self._keys)
            counts[key] += 1
            told = partial(self._delivered, key, counts[key])
            self._producer.produce(chance.choice((LEAD, FOLLOW)), b"0", key.encode(), on_delivery=told)
            self._producer.poll(0)
            if sum(counts.values()) % 20 == 0:
                self._producer.flush(5)  # a key's records have been delivered in the order in which they are counted

    def _delivered(self, key: str, count: int, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.errors.append(error.str())
        else:
            self._ledger.record(key, count, message)

    def stop(self) -> None:
        self._enough.set()
        self.join(30)
        self._producer.flush(30)


class Reader(threading.Thread):
    """Reads random keys through random workers, in three ways in turn; notes every answer that is not right."""

    def __init__(self, ledger: Ledger, crew: Sequence[Member], keys: Sequence[str], number: int) -> None:
        super().__init__(name=f"reader-{number}", daemon=True)
        self.statuses: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []
        self._ledger, self._crew, self._keys = ledger, crew, keys
        self._chance = random.Random(number)
        self._enough = threading.Event()
        self._carried: dict[str, str] = {}

    def run(self) -> None:
        ways: tuple[Callable[[str], None], ...] = (self._own_write, self._plain, self._carrying)
        while not self._enough.is_set():
            self._chance.choice(ways)(self._chance.choice(self._keys))

    def stop(self) -> None:
        self._enough.set()

    def _own_write(self, key: str) -> None:
        """A read with the positions of the key's records sees them all."""
        with self._ledger.lock:
            count, places = self._ledger.written.get(key, (0, {}))
        positions = ", ".join(f"{place}={offset}" for place, offset in places.items())
        self._read("own write", key, count, positions)

    def _plain(self, key: str) -> None:
        """A read without any position sees what anybody was told before."""
        self._read("plain", key, 0, "")

    def _carrying(self, key: str) -> None:
        """A read with the position of an earlier answer."""
        self._read("carried", key, 0, self._carried.get(key, ""))

    def _read(self, way: str, key: str, least: int, positions: str) -> None:
        with self._ledger.lock:
            least = max(least, self._ledger.told[key])
        member = any_of(self._crew, self._chance)
        status, body = ask(member, f"{TABLE}/{quote(key)}", {"Min-Position": positions} if positions else {})
        self.statuses[f"{way} {status or NO_ANSWER}"] += 1
        if status == 200:
            self._ledger.tell(key, body["value"])
            self._carried[key] = body["position"]
            if body["value"] < least:
                self.wrong.append(f"{way}: {member.name} said {key} is {body['value']}, at least {least} was expected")
        elif status == 404:
            if least:
                self.wrong.append(f"{way}: {member.name} knows no {key}, at least {least} was expected")
        elif status not in {0, 503}:
            self.wrong.append(f"{way}: {member.name} answered {status} {body}")
        else:
            time.sleep(0.05)  # as Retry-After wants it, only shorter: the more is asked while partitions move


class Visitors:
    """Reads that are put to a frozen worker, over connections that it has accepted before, and answered at its thaw.

    Its web server finds them before its engine can have noticed anything.
    """

    def __init__(self, ledger: Ledger, member: Member, keys: Sequence[str]) -> None:
        self.statuses: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []
        self._ledger, self._member = ledger, member
        self._connections = {key: http.client.HTTPConnection("127.0.0.1", member.port, timeout=20) for key in keys}
        self._least: dict[str, int] = {}
        for connection in self._connections.values():
            connection.request("GET", "/livez")
            connection.getresponse().read()

    def ask(self) -> None:
        """Put one read a key; each may find what has been told of it so far."""
        for key, connection in self._connections.items():
            with self._ledger.lock:
                self._least[key] = self._ledger.told[key]
            connection.request("GET", f"{TABLE}/{quote(key)}")

    def hear(self) -> None:
        """Judge the answers."""
        for key, connection in self._connections.items():
            response = connection.getresponse()
            body = json.loads(response.read())
            self.statuses[f"thawed {response.status}"] += 1
            if response.status not in {200, 503} or (response.status == 200 and body["value"] < self._least[key]):
                what = f"thawed: {self._member.name} answered {response.status} {body}"
                self.wrong.append(f"{what}, at least {self._least[key]} was expected")
            connection.close()


class Scanner(threading.Thread):
    """Reads the whole table page by page, each page from any worker; rows that are there throughout come once."""

    def __init__(self, crew: Sequence[Member], keys: Sequence[str]) -> None:
        super().__init__(name="scanner", daemon=True)
        self.scans = 0
        self.wrong: list[str] = []
        self._crew, self._keys = crew, sorted(keys)
        self._chance = random.Random(7)
        self._enough = threading.Event()

    def run(self) -> None:
        while not self._enough.is_set():
            found: list[str] = []
            after: str | None = ""
            while after is not None and not self._enough.is_set():
                follows = f"&after={quote(after)}" if after else ""
                status, body = ask(any_of(self._crew, self._chance), f"{TABLE}?limit=7{follows}", {})
                if status == 200:
                    found += [item["key"] for item in body["items"]]
                    after = body["next"]
                elif status not in {0, 503}:
                    self.wrong.append(f"{status} {body}")
                else:
                    time.sleep(0.05)
            if after is None:
                self.scans += 1
                if found != self._keys:
                    self.wrong.append(f"{len(found)} rows, {len(set(found))} keys, of {len(self._keys)}")

    def stop(self) -> None:
        self._enough.set()


def any_of(crew: Sequence[Member], chance: random.Random) -> Member:
    """Any worker, ready or not; not the fourth one while it is away."""
    return chance.choice([member for member in crew if member.running] or list(crew))


def ask(member: Member, path: str, headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """Status and body of a GET; 0 where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", member.port, timeout=PATIENCE_S)
    try:
        connection.request("GET", path, headers=dict(headers))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    except (OSError, http.client.HTTPException):
        return 0, {}
    finally:
        connection.close()


def table_over_http(member: Member) -> dict[str, int]:
    """The whole table `counting.counts`, page by page, asked of one worker for all."""
    rows: dict[str, int] = {}
    after = ""
    while True:
        page = page_over_http(member, f"{TABLE}?limit=1000{after}")
        items = page["items"]
        assert isinstance(items, list)
        rows.update((item["key"], item["value"]) for item in items)
        if page["next"] is None:
            return rows
        after = f"&after={page['next']}"


def page_over_http(member: Member, path: str) -> dict[str, object]:
    """One page; 503 is the right answer while a partition is on its way from one worker to another."""
    pages: list[dict[str, object]] = []

    def answers() -> bool:
        try:
            pages.append(member.get(path))
        except urllib.error.URLError:
            return False
        return True

    await_condition(answers, 90, f"a page of {path} (see {member.log})")
    return pages[0]
