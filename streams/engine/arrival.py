"""The way of a stage to its cluster: wait for a broker, check the topics, read what must be known beforehand."""

import time
from collections.abc import Callable

from confluent_kafka import KafkaException

from streams.engine.clients import name_of
from streams.engine.cluster import Cluster, ClusterFacts
from streams.engine.health import Health
from streams.engine.stage import StageSpec
from streams.errors import HeadraceError, NotReachable, StartRefused

_REFUSALS_S = 10.0  # a broker that has just come back may not know its topics yet
_PAUSE_S = 0.1


def arrive(
    cluster: Cluster, spec: StageSpec, prepare: Callable[[], None], health: Health, stopping: Callable[[], bool]
) -> ClusterFacts | None:
    """Facts of the cluster, once it is there and `prepare` has had what it needs; None when the worker stops first.

    Raises:
        HeadraceError: topics or registry are not as they must be, and stay so for ten seconds.
        StartRefused: what waiting does not change.
    """
    changelogs = [spec.changelog(table.name) for table in spec.tables]
    refused_since: float | None = None
    while cluster.wait(stopping, health.wait_for):
        try:
            facts = cluster.facts(changelogs)
            prepare()
        except KafkaException as error:
            refused_since = None
            health.wait_for(f"waiting for the cluster ({name_of(error)})")
        except NotReachable as error:
            refused_since = None
            health.wait_for(f"waiting for the cluster ({error})")
        except StartRefused:
            raise
        except HeadraceError as refusal:
            refused_since = refused_since or time.monotonic()
            if time.monotonic() - refused_since > _REFUSALS_S:
                raise
            health.wait_for(str(refusal))
        else:
            return facts
        time.sleep(_PAUSE_S)
    return None
