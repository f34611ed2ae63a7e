"""What a replay sets, and what it says that it costs, for every log and group there could be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import HeadraceError
from streams.topology.replay import (
    Log,
    Partition,
    ReplayPlan,
    Scenario,
    ShiftBy,
    ToCurrent,
    ToEarliest,
    ToGiven,
    ToLatest,
    ToOffset,
    ToTime,
    listed,
    plan_replay,
)

OFFSETS = st.integers(0, 1000)
P0 = Partition("orders", 0)
PARTITIONS = st.builds(Partition, st.sampled_from(["orders", "returns"]), st.integers(0, 5))


@st.composite
def logs(draw: st.DrawFn) -> Log:
    start, end = sorted((draw(OFFSETS), draw(OFFSETS)))
    return Log(start, end, draw(st.none() | st.integers(start, end)))


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    kinds: list[Scenario] = [ToEarliest(), ToLatest(), ToCurrent(), ToOffset(draw(OFFSETS))]
    kinds += [ShiftBy(draw(st.integers(-2000, 2000))), ToTime(draw(OFFSETS)), ToGiven({P0: draw(OFFSETS)})]
    return draw(st.sampled_from(kinds))


def move_of(scenario: Scenario, log: Log, before: int | None) -> ReplayPlan:
    return plan_replay(scenario, {P0: log}, {} if before is None else {P0: before})


@given(scenarios(), logs(), OFFSETS)
def test_what_is_set_can_be_read_from(scenario: Scenario, log: Log, before: int) -> None:
    (after,) = move_of(scenario, log, before).targets.values()
    assert log.start <= after <= log.end or (scenario == ToCurrent() and after == before)


@given(scenarios(), logs(), OFFSETS)
def test_what_is_processed_again_and_skipped_is_the_way_between(scenario: Scenario, log: Log, before: int) -> None:
    (move,) = move_of(scenario, log, before).moves
    assert move.reprocessed is not None
    assert move.skipped is not None
    assert 0 in {move.reprocessed, move.skipped}
    assert move.skipped - move.reprocessed == log.clamped(move.after) - log.clamped(before)
    assert move.reprocessed + move.skipped <= log.end - log.start


@given(logs(), OFFSETS, st.integers(-2000, 2000))
def test_a_shift_is_undone_by_its_opposite_unless_the_log_ends(log: Log, before: int, by: int) -> None:
    there = move_of(ShiftBy(by), log, before)
    if not there.warnings:
        (after,) = there.targets.values()
        back = move_of(ShiftBy(-by), log, after)
        assert back.targets == {P0: log.clamped(before)}


@given(st.dictionaries(PARTITIONS, st.tuples(logs(), OFFSETS)), st.sampled_from([ToEarliest(), ToLatest(), ShiftBy(7)]))
def test_an_undo_file_leads_back_wherever_it_was_possible_to_stand(
    drawn: dict[Partition, tuple[Log, int]], scenario: Scenario
) -> None:
    all_logs = {partition: log for partition, (log, _) in drawn.items()}
    current = {partition: log.clamped(offset) for partition, (log, offset) in drawn.items()}
    done = plan_replay(scenario, all_logs, current)
    undone = plan_replay(ToGiven(done.undo), all_logs, done.targets)
    assert undone.targets == current
    assert undone.warnings == ()
    forth = {move.partition: (move.reprocessed, move.skipped) for move in done.moves}
    assert {move.partition: (move.skipped, move.reprocessed) for move in undone.moves} == forth


@given(scenarios(), logs(), OFFSETS)
def test_doing_it_twice_does_nothing_the_second_time(scenario: Scenario, log: Log, before: int) -> None:
    if not isinstance(scenario, ShiftBy):
        first = move_of(scenario, log, before)
        assert not plan_replay(scenario, {P0: log}, first.targets).changes


@pytest.mark.parametrize(
    ("scenario", "after", "warnings"),
    [
        (ToEarliest(), 10, ()),
        (ToLatest(), 90, ()),
        (ToCurrent(), 40, ()),
        (ToOffset(55), 55, ()),
        (ToOffset(5), 10, ("orders/0: offset 5 is before the start; the start 10 is taken",)),
        (ToOffset(91), 90, ("orders/0: offset 91 is after the end; the end 90 is taken",)),
        (ShiftBy(-10), 30, ()),
        (ShiftBy(-50), 10, ("orders/0: offset -10 is before the start; the start 10 is taken",)),
        (ToGiven({P0: 41}), 41, ()),
        (ToTime(0), 70, ()),
    ],
)
def test_each_scenario_as_kafkas_tool_has_it(scenario: Scenario, after: int, warnings: tuple[str, ...]) -> None:
    plan = move_of(scenario, Log(10, 90, at_time=70), 40)
    assert (plan.targets, plan.warnings) == ({P0: after}, warnings)
    assert plan.undo == {P0: 40}


def test_a_time_after_the_last_record_means_the_end() -> None:
    plan = move_of(ToTime(5), Log(10, 90), 40)
    assert plan.targets == {P0: 90}
    assert plan.warnings == ("orders/0: no record at that time or later; the end 90 is taken",)
    assert move_of(ToTime(5), Log(10, 10), 10).warnings == ()


def test_a_group_without_an_offset_has_nothing_to_shift_and_nothing_to_go_back_to() -> None:
    with pytest.raises(HeadraceError, match=r"^no offset to shift: orders/0; take another scenario"):
        move_of(ShiftBy(1), Log(0, 9), None)
    plan = move_of(ToCurrent(), Log(0, 9), None)
    (move,) = plan.moves
    assert (plan.targets, plan.undo, plan.changes) == ({P0: 9}, {}, True)
    assert (move.reprocessed, move.skipped) == (None, None)


def test_records_that_retention_deleted_are_not_counted() -> None:
    (move,) = move_of(ToLatest(), Log(50, 90), 20).moves
    assert (move.reprocessed, move.skipped) == (0, 40)
    (move,) = move_of(ToEarliest(), Log(0, 5), 20).moves  # the topic was made anew
    assert (move.reprocessed, move.skipped) == (5, 0)


def test_partitions_are_listed_by_topic() -> None:
    assert listed([Partition("b", 0), Partition("a", 10), Partition("a", 2)]) == "a/2,10, b/0"
