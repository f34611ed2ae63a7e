"""What the plan asks for, what it refuses, and what it says besides."""

from dataclasses import replace

import pytest

from streams.engine.stage import StageSpec, TableSpec
from streams.topology.changes import (
    Change,
    ConfigureGroup,
    ConfigureTopic,
    CreateTopic,
    DeleteTopic,
    GrowTopic,
    PresetOffsets,
    Refused,
    RegisterContract,
)
from streams.topology.cluster_state import ClusterState, TopicState
from streams.topology.names import SHARED_TOPICS
from tests.unit.topology.clusters import EMPTY, ROUTER, TEXT, applied, plan_for

WHOLE = applied(plan_for(), EMPTY)


def created(cluster: ClusterState = EMPTY, text: str = TEXT) -> dict[str, CreateTopic]:
    plan = plan_for(text, cluster)
    return {change.target: change for change in plan.changes if isinstance(change, CreateTopic)}


def only(changes: tuple[Change, ...]) -> Change:
    (change,) = changes
    return change


def with_topic(name: str, cluster: ClusterState = WHOLE, **changed: object) -> ClusterState:
    configs = {**cluster.topics[name].configs, **{k.replace("_", "."): v for k, v in changed.items()}}
    state = TopicState(cluster.topics[name].partitions, cluster.topics[name].replication, configs)  # type: ignore[arg-type]
    return replace(cluster, topics={**cluster.topics, name: state})


def test_an_empty_cluster_gets_every_topic() -> None:
    assert set(created()) == {
        "in",
        "queue",
        "out",
        "headrace.router.routes.changelog",
        "headrace.router.dlq",
        "headrace.router.redrive",
        *SHARED_TOPICS,
    }


def test_derived_topics_follow_the_lead_and_take_larger_messages() -> None:
    topics = {name: change.topic for name, change in created().items()}
    limit = str(1048588 + 65536)
    changelog = topics["headrace.router.routes.changelog"]
    assert (changelog.partitions, changelog.configs["cleanup.policy"]) == (4, "compact")
    assert changelog.configs["max.message.bytes"] == limit
    redrive = topics["headrace.router.redrive"]
    assert (redrive.partitions, redrive.configs["max.message.bytes"]) == (4, limit)
    letters = topics["headrace.router.dlq"]
    assert (letters.partitions, letters.configs["max.message.bytes"]) == (4, limit)
    assert letters.configs["retention.ms"] == "-1"


def test_the_limit_that_a_source_has_on_the_cluster_counts() -> None:
    cluster = with_topic("in", max_message_bytes="2000000")
    change = next(change for change in plan_for(cluster=cluster).changes if change.target == "headrace.router.dlq")
    assert isinstance(change, ConfigureTopic)
    assert change.configs["max.message.bytes"] == (str(1048588 + 65536), str(2000000 + 65536))


def test_dlq_partitions_are_the_topologys() -> None:
    topics = created(text=f"{TEXT}failures: {{dlq_partitions: 7}}\n")
    assert topics["headrace.router.dlq"].topic.partitions == 7


@pytest.mark.parametrize(("brokers", "replication", "in_sync"), [(1, 1, "1"), (2, 2, "1"), (3, 3, "2"), (9, 3, "2")])
def test_copies_depend_on_the_brokers(brokers: int, replication: int, in_sync: str) -> None:
    for change in created(replace(EMPTY, brokers=brokers)).values():
        assert change.topic.replication == replication
        assert change.topic.configs["min.insync.replicas"] == in_sync


def test_too_few_brokers_are_warned_of() -> None:
    text = "version: 1\ntopics: {a: {partitions: 1, replication: 3}}"
    plan = plan_for(text, EMPTY, ())
    assert "topic a: replication 3 needs as many brokers, 1 are up; it gets 1" in plan.warnings
    assert any("it has 1" in line for line in plan_for(text, applied(plan, EMPTY), ()).warnings)


def test_an_existing_topic_is_never_asked_for_more_in_sync_copies_than_it_has() -> None:
    plan = plan_for(cluster=replace(WHOLE, brokers=3))
    assert plan.changes == ()
    assert any("copies are moved with kafka-reassign-partitions" in line for line in plan.warnings)


def test_a_cluster_as_it_should_be_needs_nothing() -> None:
    assert plan_for(cluster=WHOLE).changes == ()


def test_topics_and_configs_of_others_are_left_alone() -> None:
    other = TopicState(1, 1, {"cleanup.policy": "compact"})
    cluster = with_topic("queue", retention_ms="5", segment_ms="7")
    topics = {**cluster.topics, "theirs": other, "headrace.theirs.t.changelog": other}
    assert plan_for(cluster=replace(cluster, topics=topics)).changes == ()


def test_the_partition_count_of_a_topic_that_a_stage_with_tables_reads_is_refused() -> None:
    change = only(plan_for(TEXT.replace("in: {partitions: 4}", "in: {partitions: 8}"), WHOLE).refused[:1])
    assert change.target == "topic in"
    assert "stage router has tables" in change.detail
    assert "declare a new topic and copy" in change.detail


def test_its_changelogs_are_refused_too() -> None:
    plan = plan_for(TEXT.replace("in: {partitions: 4}", "in: {partitions: 8}"), WHOLE)
    assert {change.target for change in plan.refused} == {
        "topic in",
        "topic headrace.router.routes.changelog",
        "topic headrace.router.redrive",
    }


def test_other_topics_may_grow() -> None:
    grow, preset = plan_for(TEXT.replace("queue: {partitions: 2}", "queue: {partitions: 3}"), WHOLE).changes
    assert grow == GrowTopic("queue", 2, 3)
    assert preset == PresetOffsets("queue", "queue", (2,), "start")


def test_no_topic_may_shrink() -> None:
    change = only(plan_for(TEXT.replace("queue: {partitions: 2}", "queue: {partitions: 1}"), WHOLE).changes)
    assert isinstance(change, Refused)
    assert "Kafka cannot take partitions away" in change.detail


def test_a_source_of_a_stage_without_tables_may_grow_with_its_redrive_topic() -> None:
    stage = replace(ROUTER, tables=())
    cluster = applied(plan_for(stages=(stage,)), EMPTY)
    plan = plan_for(TEXT.replace("in: {partitions: 4}", "in: {partitions: 8}"), cluster, (stage,))
    assert [change for change in plan.changes if isinstance(change, GrowTopic)] == [
        GrowTopic("in", 4, 8),
        GrowTopic("headrace.router.redrive", 4, 8),
    ]


@pytest.mark.parametrize(
    ("before", "after", "destructive"),
    [
        ("30d", "31d", False),
        ("30d", "29d", True),
    ],
)
def test_shorter_retention_loses_records(before: str, after: str, *, destructive: bool) -> None:
    change = only(plan_for(TEXT.replace(before, after), WHOLE).changes)
    assert change.destructive is destructive


def test_from_forever_to_any_retention_loses_records() -> None:
    assert only(plan_for(cluster=with_topic("out", retention_ms="-1")).changes).destructive


def test_smaller_messages_are_a_loss() -> None:
    assert only(plan_for(TEXT.replace(": 1000}", ": 999}"), WHOLE).changes).destructive
    assert not only(plan_for(TEXT.replace(": 1000}", ": 1001}"), WHOLE).changes).destructive


def test_another_cleanup_policy_is_a_loss_and_a_warning() -> None:
    plan = plan_for(cluster=with_topic("out", cleanup_policy="compact"))
    assert only(plan.changes).destructive
    assert any("topic out is compacted" in line for line in plan.warnings)


def test_the_changelog_of_a_table_that_is_gone_may_be_deleted() -> None:
    state = WHOLE.topics["headrace.router.routes.changelog"]
    cluster = replace(WHOLE, topics={**WHOLE.topics, "headrace.router.old.changelog": state})
    change = only(plan_for(cluster=cluster).changes)
    assert change == DeleteTopic("headrace.router.old.changelog")
    assert change.destructive


def test_stages_and_queues_begin_at_the_start_and_subscriptions_at_the_end() -> None:
    presets = plan_for(cluster=replace(WHOLE, groups={})).changes
    assert presets == (
        PresetOffsets("headrace.router", "in", (0, 1, 2, 3), "start"),
        PresetOffsets("queue", "queue", (0, 1), "start"),
        PresetOffsets("out.reader", "out", (0, 1), "end"),
    )


def test_the_end_of_a_topic_that_is_only_now_made_is_its_start() -> None:
    presets = [change for change in plan_for().changes if isinstance(change, PresetOffsets)]
    assert {preset.start for preset in presets} == {"start"}


def test_new_partitions_of_a_subscribed_topic_are_read_from_the_start() -> None:
    plan = plan_for(TEXT.replace("out: {partitions: 2", "out: {partitions: 3"), WHOLE)
    assert PresetOffsets("out.reader", "out", (2,), "start") in plan.changes


def test_followers_are_preset_in_the_stages_group() -> None:
    stage = replace(ROUTER, sources=("in", "headrace.router.redrive"))
    presets = [change for change in plan_for(stages=(stage,)).changes if change.target == "headrace.router"]
    assert [preset.topic for preset in presets if isinstance(preset, PresetOffsets)] == [
        "in",
        "headrace.router.redrive",
    ]
    again = applied(plan_for(stages=(stage,)), EMPTY)
    assert plan_for(cluster=again, stages=(stage,)).changes == ()


def test_offsets_that_are_there_are_never_touched() -> None:
    groups = {**WHOLE.groups, "out.reader": frozenset({("out", 1)})}
    assert plan_for(cluster=replace(WHOLE, groups=groups)).changes == (
        PresetOffsets("out.reader", "out", (0,), "start"),
    )


def test_contracts_are_registered_before_offsets_are_set() -> None:
    kinds = [type(change) for change in plan_for(unregistered=("b", "a")).changes]
    assert kinds.index(CreateTopic) < kinds.index(RegisterContract) < kinds.index(PresetOffsets)


def test_a_subscribed_topic_that_forgets_within_a_month_is_warned_of() -> None:
    assert plan_for().warnings == ()
    (warning,) = plan_for(TEXT.replace("retention: 30d, ", "")).warnings
    assert "topic out keeps records for 7d" in warning
    (warning,) = plan_for(TEXT.replace("30d", "12h")).warnings
    assert "0.5d" in warning


CONSUMER = (StageSpec("s", ("in",), (TableSpec("t"),), group_protocol="consumer"),)


def test_kip_848_groups_are_configured() -> None:
    plan = plan_for(stages=CONSUMER)
    (change,) = [change for change in plan.changes if isinstance(change, ConfigureGroup)]
    assert change.configs["consumer.session.timeout.ms"] == ("", "6000")
    assert plan_for(stages=CONSUMER, cluster=applied(plan, EMPTY)).changes == ()


def test_a_brokers_minimum_that_forbids_it_is_told() -> None:
    minimums = {"consumer.session.timeout.ms": 45_000, "consumer.heartbeat.interval.ms": 5_000}
    plan = plan_for(stages=CONSUMER, cluster=replace(EMPTY, group_minimums=minimums))
    assert not [change for change in plan.changes if isinstance(change, ConfigureGroup)]
    assert any("lower group.consumer.min.session.timeout.ms on the broker" in line for line in plan.warnings)


def test_changes_say_what_they_are() -> None:
    assert only(plan_for(TEXT.replace("30d", "31d"), WHOLE).changes).told("configure topic") == (
        "configure topic out: retention.ms 2592000000 -> 2678400000"
    )


def test_a_topic_with_many_subscriptions_is_warned_of_once() -> None:
    two = "{topic: out, subscription: reader}, {topic: out, subscription: other}"
    text = TEXT.replace("retention: 30d, ", "").replace("{topic: out, subscription: reader}", two)
    assert len(plan_for(text).warnings) == 1
