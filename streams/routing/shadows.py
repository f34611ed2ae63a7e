"""Routes that get no message, because an earlier one takes all that they could get.

A route is compared only with those that its conditions give a clue to: a thousand routes that each search for another
word have none in common. Sound, not complete, as in reasoning.py, and bounded: a check that takes minutes is none.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from streams.messages.contracts import Contract
from streams.routing.field_types import FieldTypes, Types
from streams.routing.fields import parse_field
from streams.routing.reasoning import CHOICES, RANGES, implies
from streams.routing.texts import text_test
from streams.topology.conditions import AllOf, AnyOf, Comparison, Condition
from streams.topology.model import Route

# Comparisons of two routes for one router: about two seconds. 447 routes fit that all ask for ranges of one field.
MOST_PAIRS = 100_000

# What a condition that implies another has in common with it: a kind and what it is about.
Clue = tuple[object, ...]
Clues = frozenset[Clue]

_ANYTHING: Clue = ("anything",)


@dataclass(frozen=True)
class Candidate:
    """A route with what lint knows of it.

    Args:
        route: as written.
        conditions: those that must all hold.
        carried: contracts of the messages that its conditions on the type let through.
        types: of the fields of all contracts.
        pins: fields that must have one value; tells most pairs of 1,000 routes apart at once.
    """

    route: Route
    conditions: tuple[Condition, ...]
    carried: tuple[Contract, ...]
    types: FieldTypes
    pins: Mapping[str, object]

    def types_of(self, field: str) -> Types:
        """Types of a field in the messages that can come to this route."""
        found = parse_field(field)
        return self.types.of(found, self.carried) if found else frozenset()


def shadowed(candidates: Sequence[Candidate]) -> Iterator[tuple[Candidate, Candidate]]:
    """Routes that get nothing, each with the first that takes it all; silent about what `MOST_PAIRS` leaves out."""
    given = [_clues_of_route(each) for each in candidates]
    frequency = Counter(clue for clues in given for clue in clues)
    found_by: dict[Clue, list[int]] = defaultdict(list)
    pairs = 0
    for position, later in enumerate(candidates):
        for place in sorted({place for clue in given[position] for place in found_by.get(clue, ())}):
            pairs += 1
            if pairs > MOST_PAIRS:
                return
            if _covers(candidates[place], later):
                yield later, candidates[place]
                break
        for clue in _rarest_clues(later, frequency):
            found_by[clue].append(position)


def type_test(condition: Condition, contract: Contract) -> bool | None:
    """Answer of a condition on the message's type; None for any other condition."""
    if not isinstance(condition, Comparison) or condition.field != "message_type":
        return None
    return text_test(condition.operator, condition.value)(contract.name.encode())


def _covers(earlier: Candidate, later: Candidate) -> bool:
    """Whether every message that `later` matches is matched by `earlier`."""
    if any(later.pins.get(field, pinned) != pinned for field, pinned in earlier.pins.items()):
        return False
    return all(
        all(type_test(wanted, contract) for contract in later.carried)
        or any(implies(given, wanted, later.types_of) for given in later.conditions)
        for wanted in earlier.conditions
    )


def _clues_of_route(later: Candidate) -> Clues:
    clues = frozenset({_ANYTHING}).union(*map(_clues_given, later.conditions))
    pinned = {("pin", field, value) for field, value in later.pins.items()}
    loose = {("loose", clue[1]) for clue in clues if clue[0] == "choice" and clue[1] not in later.pins}
    return clues | pinned | loose


def _rarest_clues(earlier: Candidate, frequency: Mapping[Clue, int]) -> Clues:
    """Clues of one condition of `earlier`, one of which a route has that it covers: those that the fewest have."""
    wanted = [_clues_to_find(each, earlier.pins) for each in earlier.conditions if not _is_type_test(each)]
    return min(wanted, key=lambda clues: sum(frequency[clue] for clue in clues), default=frozenset({_ANYTHING}))


def _is_type_test(condition: Condition) -> bool:
    return isinstance(condition, Comparison) and condition.field == "message_type"


def _clues_to_find(wanted: Condition, pins: Mapping[str, object]) -> Clues:
    if isinstance(wanted, Comparison) and wanted.operator == "equals" and wanted.field in pins:
        return frozenset({("is", wanted), ("pin", wanted.field, pins[wanted.field]), ("loose", wanted.field)})
    return _clues_wanted(wanted)


def _clues_given(given: Condition) -> Clues:
    """If `given` implies a condition, that one's `_clues_wanted` have one of these."""
    clues: Clues = frozenset({("is", given)})
    if isinstance(given, AllOf):
        return clues.union(*map(_clues_given, given.conditions))
    if isinstance(given, AnyOf):
        return clues.union(*map(_clues_given, given.conditions[:1]))  # as each of them must imply it
    if isinstance(given, Comparison):
        clues |= {("value", given.field)}
        if given.operator in CHOICES:
            clues |= {("choice", given.field)}
        if given.operator in RANGES:
            clues |= {("range", given.field)}
    return clues


def _clues_wanted(wanted: Condition) -> Clues:
    clues: Clues = frozenset({("is", wanted)})
    if isinstance(wanted, AllOf):
        return clues.union(*map(_clues_wanted, wanted.conditions[:1])) if wanted.conditions else clues | {_ANYTHING}
    if isinstance(wanted, AnyOf):
        return clues.union(*map(_clues_wanted, wanted.conditions))
    if isinstance(wanted, Comparison):
        if wanted.operator == "exists":
            return clues | {("value", wanted.field)}
        clues |= {("choice", wanted.field)}
        if wanted.operator in RANGES:
            clues |= {("range", wanted.field)}
    return clues
