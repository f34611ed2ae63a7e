"""When a run has come to rest: its stages have committed all that was sent."""

import time

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from streams.config import Settings
from streams.dev.readiness import admin_client, await_condition
from streams.engine.group_offsets import committed_offsets
from streams.engine.stage import TP
from tests.chaos import recount, workload
from tests.chaos.crew import Member


def settle(settings: Settings, crew: list[Member], timeout_s: float) -> float:
    """Wait until both stages have committed everything; how many seconds that took."""
    started = time.monotonic()
    wanted = {"headrace.router": [workload.INBOUND], "headrace.counting": list(recount.sources_of_counting())}

    def done() -> bool:
        return all(lag_of(settings, group, topics) == 0 for group, topics in wanted.items())

    await_condition(done, timeout_s, f"the stages to commit everything (logs beside {crew[0].log})")
    return time.monotonic() - started


def lag_of(settings: Settings, group: str, topics: list[str]) -> int:
    """Records that `group` has not committed; -1 while that cannot be told."""
    partitions = [TopicPartition(topic, p) for topic in topics for p in range(workload.PARTITIONS)]
    admin = admin_client(settings.bootstrap_servers())
    try:
        committed = committed_offsets(settings.kafka_config(), group, [(p.topic, p.partition) for p in partitions])
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        ends = admin.list_offsets(dict.fromkeys(partitions, latest))
        return sum(end.result(10).offset - committed[TP(p.topic, p.partition)] for p, end in ends.items())
    except (KafkaException, TimeoutError):
        return -1
