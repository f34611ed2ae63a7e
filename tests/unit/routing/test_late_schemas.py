"""Unknown schema ids are asked for, but not often."""

import threading

import pytest

from streams.errors import NotReachable, TransientError
from streams.messages.registry import Registered
from streams.routing import late_schemas
from streams.routing.late_schemas import ASK_AGAIN_S, BURST, REFILL_S, LateSchemas

ORDER = Registered("shop.order", 2, 7, {"type": "record", "name": "order", "fields": []})


class Shelf:
    """A registry that counts its questions."""

    def __init__(self, *known: Registered) -> None:
        self.known = {each.id: each for each in known}
        self.asked: list[int] = []

    def by_id(self, schema_id: int) -> Registered | None:
        self.asked.append(schema_id)
        return self.known.get(schema_id)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_version_registered_later_is_found() -> None:
    assert LateSchemas(Shelf(ORDER), Clock()).find(7) == ORDER


def test_an_unknown_id_is_asked_for_again_only_after_a_while() -> None:
    shelf, clock = Shelf(), Clock()
    late = LateSchemas(shelf, clock)
    assert late.find(7) is None
    assert late.find(7) is None
    assert shelf.asked == [7]
    shelf.known[7] = ORDER
    clock.now += ASK_AGAIN_S
    assert late.find(7) == ORDER


def test_a_flood_of_unknown_ids_becomes_a_bounded_number_of_questions() -> None:
    shelf, clock = Shelf(), Clock()
    late = LateSchemas(shelf, clock)
    for schema_id in range(1000):
        late.find(schema_id)
    assert len(shelf.asked) == BURST
    clock.now += 2 * REFILL_S
    for schema_id in range(1000, 2000):
        late.find(schema_id)
    assert len(shelf.asked) == BURST + 2


def test_a_registry_that_does_not_answer_is_a_transient_error() -> None:
    class Gone(Shelf):
        def by_id(self, schema_id: int) -> Registered | None:
            raise NotReachable(f"away, asked for {schema_id}")

    with pytest.raises(TransientError, match="away"):
        LateSchemas(Gone(), Clock()).find(7)


def test_a_registry_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_schemas, "ANSWER_S", 0.05)
    let_go = threading.Event()

    class Hanging(Shelf):
        def by_id(self, schema_id: int) -> Registered | None:
            let_go.wait(30)
            return super().by_id(schema_id)

    with pytest.raises(TransientError, match="no answer"):
        LateSchemas(Hanging(), Clock()).find(7)
    let_go.set()
