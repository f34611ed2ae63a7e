"""A content-based router, compiled: checks each message, decides, and forwards it as it came.

The handler is the hot path of the stage: a sound message costs one dict of its headers, one look-up of its schema id
and the tests that decide. Whatever is not sound at first sight is examined slowly and precisely (admission.py), and
only that raises. Nothing after a match raises, so a message that was counted was put out.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

from streams.engine.partitioner import partition_of
from streams.errors import NoRouteMatches, UnreadableHeaders
from streams.messages import headers as names
from streams.messages.contracts import Contracts
from streams.messages.framing import SchemaName, frame
from streams.messages.message import Record
from streams.messages.registry import Registered
from streams.messages.signed import CheckRecord
from streams.routing.admission import Admission
from streams.routing.conditions import Headers, payload_paths
from streams.routing.dispatch import Outcome, Rules, compile_rules, merged, outcome_of
from streams.routing.writers import WriterType
from streams.topology.model import Router

Handler = Callable[[Record], None]
# Records by what became of them, in offset order.
Matched = dict[Outcome, list[Record]]
Chooser = Callable[[Rules, Headers, Record, bytes], Outcome]

EVENTS_SUFFIX = ".events"
# Distinct combinations of routes that matched together (mode all), and subjects whose partition is remembered.
_REMEMBERED = 10_000

_partition_of = lru_cache(maxsize=_REMEMBERED)(partition_of)


class RoutedBatch(Protocol):
    """What a router needs of the engine's batch."""

    partition: int
    route: str | None

    @property
    def out(self) -> list[Any]:
        """What the batch puts out: tuples as the engine's `Output`, whose headers may also be str."""

    def partitions_of(self, topic: str) -> int:
        """Number of partitions of a destination."""


class CompiledRouter:
    """A router of one source, ready to handle batches.

    Args:
        router: as written; lint has passed.
        admission: check of the messages of its source.
        rules: routes by the first five bytes of a value, the framing.
        clock: unix time in seconds, asked once a batch.
        check: raises for a record whose signature is not valid; None where the source need not be signed.
    """

    def __init__(
        self,
        router: Router,
        admission: Admission,
        rules: Mapping[bytes, Rules],
        clock: Callable[[], float],
        check: CheckRecord | None = None,
    ) -> None:
        self.router = router
        self.monitoring = {route.name: route.monitoring for route in router.routes}
        self._admission = admission
        self._rules = rules
        self._clock = clock
        self._check = check
        choose = _choose_first if router.mode == "first" else _choose_all
        self._choose = choose(_unmatched(router))

    def attributes(self, record: Record) -> Headers:
        """Headers of a record that was handled, by name, with the attributes of one that has none."""
        return self._admission.attributes(record)

    def bind(self, batch: RoutedBatch, matched: Matched) -> Handler:
        """Handler of the records of `batch`.

        It raises `InvalidMessage`, `MessageExpired` or `NoRouteMatches`, having put out nothing; a record that it
        puts out, or drops as told, is added to `matched`, a defaultdict.
        """
        now = self._clock()
        rules_of, choose = self._rules, self._choose
        examine, is_time = self._admission.examine, self._admission.is_time
        times = self._admission.times
        put_out, join = batch.out.append, b"".join
        by_subject = self.router.source.endswith(EVENTS_SUFFIX)
        place = placing(batch, by_subject=by_subject)

        def handle(record: Record) -> None:
            value = record.value() or b""
            try:
                raw_headers = record.headers() or []
                headers = dict(raw_headers)
                rules = rules_of[value[:5]]
                sound = (
                    headers["ce_type"] == rules.ce_type
                    and headers["ce_specversion"] == b"1.0"
                    and (headers["ce_time"] in times or is_time(headers["ce_time"]))
                    and headers["ce_id"]
                    and headers["ce_source"]
                    and "ttl" not in headers
                    and "__value_schema_id" not in headers
                    and len(headers) == len(raw_headers)
                    and join(headers.values()).isascii()  # type: ignore[arg-type]  # a None is a TypeError
                )
            except (UnicodeDecodeError, SystemError) as error:  # which of them, the binding leaves to chance
                raise UnreadableHeaders("expected header names in UTF-8, got one that is not") from error
            except (KeyError, TypeError):
                sound = False
            if not sound:
                raw_headers, headers, framed = examine(record, now)
                rules = rules_of[framed[:5]]
                outcome = choose(rules, headers, record, framed)
            else:
                outcome = choose(rules, headers, record, value)
            batch.route = outcome.route
            key = record.key()
            timestamp_ms = record.timestamp()[1]
            if timestamp_ms < 0:  # noqa: PLR1730 max() costs twice as much here
                timestamp_ms = 0
            if key is not None and not by_subject:
                for topic in outcome.topics:
                    put_out((topic, value, key, -1, timestamp_ms, raw_headers))
            else:
                for topic in outcome.topics:
                    put_out((topic, value, key, place(topic, key, headers), timestamp_ms, raw_headers))
            matched[outcome].append(record)

        return handle if self._check is None else _checked(self._check, handle)


def compile_router(
    router: Router,
    contract_names: Sequence[str],
    contracts: Contracts,
    registered: Sequence[Registered],
    clock: Callable[[], float],
    late: Callable[[SchemaName], Registered | None] = lambda _name: None,
    check: CheckRecord | None = None,
) -> CompiledRouter:
    """Compile `router` for every schema that is registered for a contract of its source.

    Args:
        router: as lint has passed it.
        contract_names: contracts of its source topic.
        contracts: the newest version of each.
        registered: every version in the registry.
        clock: unix time in seconds.
        late: finds versions that are registered later, by id or GUID.
        check: of signatures, where the source is a signed topic.

    Raises:
        ValueError: a condition is wrong in a way that lint reports.
    """
    accepted = [contracts[name] for name in contract_names]
    subjects = {contract.subject for contract in accepted}
    paths = Counter(path for route in router.routes for path in payload_paths(route.conditions))
    shared = frozenset(path for path, reads in paths.items() if reads > 1)
    outcomes = [(route, outcome_of(route)) for route in router.routes]
    rules: dict[bytes, Rules] = {}

    def add(version: Registered) -> None:
        if version.subject in subjects:
            rules[frame(version.id, b"")] = compile_rules(outcomes, WriterType(version, contracts, shared))

    def learn(name: SchemaName) -> Registered | None:
        found = late(name)
        if found is not None:
            add(found)
        return found

    for version in registered:
        add(version)
    return CompiledRouter(router, Admission(router.source, accepted, registered, learn), rules, clock, check)


def _checked(check: CheckRecord, handle: Handler) -> Handler:
    def handle_signed(record: Record) -> None:
        check(record)
        handle(record)

    return handle_signed


def _unmatched(router: Router) -> Outcome | None:
    """Outcome of a message that no route matches; None for a dead letter."""
    if router.unmatched == "deadletter":
        return None
    return Outcome((), () if router.unmatched == "drop" else (router.unmatched,), None)


def _choose_first(unmatched: Outcome | None) -> Chooser:
    def choose(rules: Rules, headers: Headers, record: Record, value: bytes) -> Outcome:
        _, header, indexed, otherwise = rules
        for test, outcome in otherwise if header is None else indexed.get(headers.get(header), otherwise):
            if test(headers, record, value):
                return outcome
        return unmatched or _unroutable(rules)

    return choose


def _choose_all(unmatched: Outcome | None) -> Chooser:
    combined = lru_cache(maxsize=_REMEMBERED)(merged)

    def choose(rules: Rules, headers: Headers, record: Record, value: bytes) -> Outcome:
        _, header, indexed, otherwise = rules
        candidates = otherwise if header is None else indexed.get(headers.get(header), otherwise)
        outcomes = [outcome for test, outcome in candidates if test(headers, record, value)]
        if len(outcomes) == 1:
            return outcomes[0]
        return combined(tuple(outcomes)) if outcomes else unmatched or _unroutable(rules)

    return choose


def _unroutable(rules: Rules) -> Outcome:
    raise NoRouteMatches(f"no route matches this {rules.ce_type.decode()}; add a route, or say what `unmatched` does")


def placing(batch: RoutedBatch, *, by_subject: bool) -> Callable[[str, bytes | None, Headers], int]:
    """Where records go that the destination's partitioner cannot place.

    An event's key has its version in it, so its subject keeps an aggregate's events together; a record without a
    key stays in the partition that it came from, as far as there is one.
    """

    def place(topic: str, key: bytes | None, headers: Headers) -> int:
        subject = headers.get(names.SUBJECT) if by_subject else None
        if subject:
            return _partition_of(subject, batch.partitions_of(topic))
        return batch.partition % batch.partitions_of(topic) if key is None else -1

    return place
