"""The epoch of a stage: who acknowledges what, and that the dead acknowledge nothing."""

import threading

import pytest

from streams.engine.cycle import AgentFailed, Cycle
from streams.engine.stage import TP
from tests.unit.engine.records import PARTITION, SOURCE, TABLE, batch_of, new_cycle, record, table


def test_a_cycle_waits_for_every_batch() -> None:
    cycle = new_cycle()
    batches = [batch_of([record(n)], cycle) for n in range(3)]
    cycle.expect(len(batches))
    for batch in batches[:-1]:
        cycle.acknowledge(batch)
    assert not cycle.wait(0)
    cycle.acknowledge(batches[-1])
    assert cycle.wait(0)
    assert all(batch.done for batch in batches)


def test_an_acknowledgement_wakes_the_engines_thread() -> None:
    cycle = new_cycle()
    batch = batch_of([record(1)], cycle)
    cycle.expect(1)
    threading.Timer(0.05, cycle.acknowledge, (batch,)).start()
    assert cycle.wait(10)


def test_a_failure_ends_the_wait_at_once_and_the_first_one_is_told() -> None:
    cycle = new_cycle()
    cycle.expect(2)
    cause = ValueError("bug")
    cycle.fail(AgentFailed("agent", "first", cause))
    cycle.fail(AgentFailed("agent", "second"))
    with pytest.raises(AgentFailed, match="first") as raised:
        cycle.wait(60)
    assert raised.value.__cause__ is cause
    assert raised.value.reason == "agent"


def test_late_acknowledgements_and_writes_of_a_dead_cycle_go_nowhere() -> None:
    of = table()
    dead, living = new_cycle(of), new_cycle(of)
    late, current = batch_of([record(1)], dead), batch_of([record(1)], living)
    rows = late.state(TABLE)
    dead.expect(1)
    dead.dead = True
    living.expect(1)

    rows.set(b"k", "late")
    late.send("out", b"late")
    late.after_commit(lambda _at: None)
    dead.acknowledge(late)

    assert not living.wait(0)
    assert current.state(TABLE).get(b"k") is None
    assert of.store.get(b"k") is None
    assert (current.out, living.callbacks, living.next) == ([], [], {})
    living.acknowledge(current)
    assert living.wait(0)


def test_only_kept_batches_move_offsets_and_are_called_back() -> None:
    cycle = new_cycle()
    kept, lost = batch_of([record(5), record(9)], cycle), batch_of([record(10)], cycle)
    calls: list[float] = []
    kept.after_commit(calls.append)
    lost.after_commit(calls.append)
    cycle.keep(kept)
    assert cycle.next == {TP(SOURCE, PARTITION): 10}
    assert len(cycle.callbacks) == 1


def test_batches_of_one_partition_share_one_write_set() -> None:
    cycle = new_cycle()
    first, second = batch_of([record(1)], cycle), batch_of([record(2)], cycle)
    first.state(TABLE).set(b"k", 1)
    assert second.state(TABLE).get(b"k") == 1


def test_a_partition_that_is_not_owned_has_no_write_set() -> None:
    with pytest.raises(KeyError):
        Cycle({}).write_set(TABLE, PARTITION)
