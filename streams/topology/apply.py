"""Makes the changes of a plan and says of each what became of it. Doing it twice does nothing the second time."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # exported without __all__
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from streams.errors import HeadraceError, NotReachable
from streams.topology.changes import (
    Change,
    ConfigureGroup,
    ConfigureTopic,
    CreateTopic,
    DeleteTopic,
    GrowTopic,
    PresetOffsets,
    RecordIds,
    RegisterContract,
)
from streams.topology.cluster import read_configs
from streams.topology.connection import REQUEST_S, answer, list_topics, result_of
from streams.topology.offsets import preset_offsets
from streams.topology.plan import Plan

_SEEN_S = 30.0
_PAUSE_S = 0.1

Register = Callable[[str], str]
C = TypeVar("C", bound=Change)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one change; `made` is False where it was left out, and `text` says why.

    `unmet`: the topology asks for it, so the cluster is not yet as it says.
    """

    text: str
    made: bool = True
    unmet: bool = False


def apply_plan(
    admin: AdminClient, plan: Plan, register: Register, *, allow_destructive: bool = False
) -> Iterator[Outcome]:
    """Make the changes in order, one outcome each.

    Args:
        admin: of the cluster that the plan was made for.
        plan: from make_plan.
        register: registers the contract of a name, records its ids, and says as what; called once the catalogue's
            topic is there.
        allow_destructive: make the changes that lose records too.

    Raises:
        HeadraceError: something in the plan is refused (then nothing is made), or Kafka refuses a change (then
            those before it are made; applying again goes on from there).
    """
    if plan.refused:
        raise HeadraceError("\n".join(change.told(change.action) for change in plan.refused))
    changes = [change for change in plan.changes if allow_destructive or not change.destructive]
    yield from _topics(admin, changes)
    for change in (*_of(RegisterContract, changes), *_of(RecordIds, changes)):
        yield Outcome(f"{change.done} {change.name}: {register(change.name)}")
    for preset in _of(PresetOffsets, changes):
        refusal = preset_offsets(admin, preset)
        yield Outcome(refusal or preset.told(preset.done), made=not refusal)
    for group in _of(ConfigureGroup, changes):
        _configure(admin, ResourceType.GROUP, group)
        yield Outcome(group.told(group.done))
    for deleted in _of(DeleteTopic, changes):
        _delete(admin, deleted)
        yield Outcome(deleted.told(deleted.done))
    for withheld in plan.changes:
        if withheld.destructive and not allow_destructive:
            text = f"{withheld.told(withheld.action)}; left out, as records could be lost; --allow-destructive does it"
            yield Outcome(text, made=False, unmet=not isinstance(withheld, DeleteTopic))


def _of(kind: type[C], changes: Sequence[Change]) -> list[C]:
    return [change for change in changes if isinstance(change, kind)]


def _topics(admin: AdminClient, changes: Sequence[Change]) -> Iterator[Outcome]:
    created, grown = _of(CreateTopic, changes), _of(GrowTopic, changes)
    yield from _create(admin, created)
    for change in grown:
        request = [NewPartitions(change.name, change.after)]
        answer(admin.create_partitions(request, request_timeout=REQUEST_S)[change.name], change.told(change.action))
        yield Outcome(change.told(change.done))
    counts = {change.topic.name: change.topic.partitions for change in created}
    _await_leaders(admin, counts | {change.name: change.after for change in grown})
    for configured in _of(ConfigureTopic, changes):
        _configure(admin, ResourceType.TOPIC, configured)
        yield Outcome(configured.told(configured.done))


def _create(admin: AdminClient, changes: Sequence[CreateTopic]) -> Iterator[Outcome]:
    if not changes:
        return
    requests = [
        NewTopic(
            change.topic.name,
            num_partitions=change.topic.partitions,
            replication_factor=change.topic.replication,
            config=dict(change.topic.configs),
        )
        for change in changes
    ]
    futures = admin.create_topics(requests, operation_timeout=REQUEST_S, request_timeout=REQUEST_S)
    for change in changes:
        if not _exists_already(futures[change.topic.name]):
            answer(futures[change.topic.name], f"{change.action} {change.target}")
            yield Outcome(change.told(change.done))


def _exists_already(future: object) -> bool:
    """Whether somebody else made the topic since we looked, such as a second `apply`."""
    try:
        result_of(future)
    except KafkaException as error:
        return bool(error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS)
    return False


def _await_leaders(admin: AdminClient, counts: dict[str, int]) -> None:
    """Until metadata shows every partition with a leader: a producer that comes first would fail."""

    def without_leaders() -> list[str]:
        topics = list_topics(admin).topics
        return sorted(name for name in counts if not _has_leaders(topics.get(name), counts[name]))

    if counts:
        _await_none(without_leaders, "no leader for every partition")


def _await_none(remaining: Callable[[], list[str]], what: str) -> None:
    """Until nothing remains: brokers show what the controller has decided a moment later."""
    deadline = time.monotonic() + _SEEN_S
    while left := remaining():
        if time.monotonic() > deadline:
            raise NotReachable(f"{what} after {_SEEN_S:g} s: {', '.join(left)}; are all brokers up?")
        time.sleep(_PAUSE_S)


def _has_leaders(topic: object, count: int) -> bool:
    partitions = list(topic.partitions.values()) if topic else []  # type: ignore[attr-defined]  # TopicMetadata is untyped
    return len(partitions) >= count and all(partition.leader >= 0 for partition in partitions)


def _configure(admin: AdminClient, kind: ResourceType, change: ConfigureTopic | ConfigureGroup) -> None:
    wanted = {name: after for name, (_, after) in change.configs.items()}
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in wanted.items()]
    resource = ConfigResource(kind, change.name, incremental_configs=entries)
    futures = admin.incremental_alter_configs([resource], request_timeout=REQUEST_S)
    answer(next(iter(futures.values())), change.told(change.action))

    def unseen() -> list[str]:
        seen = read_configs(admin, kind, [change.name])[change.name]
        return [name for name, value in wanted.items() if seen.get(name) != value]

    _await_none(unseen, f"configs of {change.name} not seen")


def _delete(admin: AdminClient, change: DeleteTopic) -> None:
    answer(admin.delete_topics([change.name], request_timeout=REQUEST_S)[change.name], change.told(change.action))
    _await_none(lambda: [name for name in list_topics(admin).topics if name == change.name], "topic still there")
