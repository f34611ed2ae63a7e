"""Unknown schema ids are asked for, but not often."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import NotReachable, TransientError
from streams.messages.registry import Registered
from streams.routing import late_schemas
from streams.routing.late_schemas import ASK_AGAIN_S, BURST, NEXT_IDS, REFILL_S, LateSchemas

ORDER = Registered("shop.order", 2, 7, {"type": "record", "name": "order", "fields": []})
ORDER_3 = Registered("shop.order", 3, 8, ORDER.schema)
GUID = bytes(range(16))
FAR_OFF = range(1000, 3000)


class Shelf:
    """A registry that counts its questions."""

    def __init__(self, *known: Registered) -> None:
        self.known = list(known)
        self.unlisted: Registered | None = None
        self.asked = 0

    def all(self) -> list[Registered]:
        self.asked += 1
        return list(self.known)

    def by_guid(self, guid: bytes) -> Registered | None:
        return self.unlisted if guid == GUID else None


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def late_schemas_of(shelf: Shelf, clock: Clock) -> LateSchemas:
    return LateSchemas(shelf, clock, list(shelf.known), clock.sleep)


def test_a_version_registered_later_is_found() -> None:
    assert LateSchemas(Shelf(ORDER), Clock()).find(7) == ORDER


def test_a_guid_is_found_among_the_versions_or_looked_up() -> None:
    listed = Registered(ORDER.subject, 2, 7, ORDER.schema, GUID)
    assert LateSchemas(Shelf(listed), Clock()).find(GUID) == ORDER
    shelf = Shelf(ORDER)
    late = LateSchemas(shelf, Clock())
    assert late.find(bytes(16)) is None
    shelf.unlisted = ORDER
    assert late.find(GUID) == ORDER
    assert late.find(GUID) == ORDER
    assert shelf.asked == 2


def test_an_unknown_id_is_asked_for_again_only_after_a_while() -> None:
    shelf, clock = Shelf(), Clock()
    late = LateSchemas(shelf, clock)
    assert late.find(7) is None
    assert late.find(7) is None
    assert shelf.asked == 1
    shelf.known.append(ORDER)
    clock.now += ASK_AGAIN_S
    assert late.find(7) == ORDER


def test_one_answer_settles_every_id() -> None:
    shelf = Shelf()
    late = late_schemas_of(shelf, Clock())
    shelf.known += [ORDER, ORDER_3]
    assert [late.find(999), late.find(8), late.find(7)] == [None, ORDER_3, ORDER]
    assert shelf.asked == 1


def test_a_flood_of_unknown_ids_becomes_a_bounded_number_of_questions() -> None:
    shelf, clock = Shelf(ORDER), Clock()
    late = late_schemas_of(shelf, clock)
    for schema_id in FAR_OFF[:1000]:
        late.find(schema_id)
    assert shelf.asked == BURST
    clock.now += 2 * REFILL_S
    before = clock.now
    for schema_id in FAR_OFF[1000:]:
        late.find(schema_id)
    assert shelf.asked == BURST + 2
    assert clock.now == before


def test_a_version_registered_during_a_flood_is_found_without_a_letter() -> None:
    shelf, clock = Shelf(ORDER), Clock()
    late = late_schemas_of(shelf, clock)
    for schema_id in FAR_OFF:
        late.find(schema_id)
    shelf.known.append(ORDER_3)
    before = clock.now
    assert late.find(8) == ORDER_3
    assert clock.now - before <= REFILL_S
    assert shelf.asked == BURST + 1


@given(st.lists(st.integers(0, 30), max_size=200))
def test_questions_are_bounded_whatever_comes(ids: list[int]) -> None:
    shelf, clock = Shelf(ORDER), Clock()
    late = late_schemas_of(shelf, clock)
    for schema_id in ids:
        assert (late.find(schema_id) is not None) == (schema_id == ORDER.id)
    assert shelf.asked <= BURST + (clock.now - Clock.now) / REFILL_S + 1e-6
    assert clock.now - Clock.now <= NEXT_IDS * REFILL_S  # each of the next ids waits once, then it is known to be none


def test_a_registry_that_does_not_answer_is_a_transient_error() -> None:
    class Gone(Shelf):
        def all(self) -> list[Registered]:
            raise NotReachable("away")

    with pytest.raises(TransientError, match=r"7 is unknown here.*away"):
        LateSchemas(Gone(), Clock()).find(7)


def test_a_registry_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_schemas, "ANSWER_S", 0.05)
    let_go = threading.Event()

    class Hanging(Shelf):
        def all(self) -> list[Registered]:
            let_go.wait(30)
            return super().all()

    with pytest.raises(TransientError, match="no answer"):
        LateSchemas(Hanging(), Clock()).find(7)
    let_go.set()
