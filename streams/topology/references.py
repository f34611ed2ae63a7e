"""Every place of a topology that names a topic, with what the topic is to it."""

from collections.abc import Iterator
from dataclasses import dataclass

from streams.topology.located import Located
from streams.topology.model import Router, Topology


@dataclass(frozen=True, slots=True)
class TopicReference:
    """`owner` names `topic` under `key`; `role` is for people."""

    owner: Located
    key: str
    topic: str
    role: str


def topic_references(topology: Topology) -> Iterator[TopicReference]:
    """All references in the order of the sections."""
    for router in topology.routers:
        yield from _of_router(router)
    for piece in (*topology.transformations, *topology.patterns):
        yield TopicReference(piece, "source", piece.source, "source")
        yield TopicReference(piece, "destination", piece.destination, "destination")
    for call in topology.calls:
        if call.source is not None:
            yield TopicReference(call, "source", call.source, "source")
    for projection in topology.projections:
        for index, source in enumerate(projection.sources):
            yield TopicReference(projection, f"sources[{index}]", source, "source")
    for index, topic in enumerate(topology.security.signed):
        yield TopicReference(topology.security, f"signed[{index}]", topic, "signed topic")


def _of_router(router: Router) -> Iterator[TopicReference]:
    yield TopicReference(router, "source", router.source, "source")
    if router.unmatched not in {"deadletter", "drop"}:
        yield TopicReference(router, "unmatched", router.unmatched, "destination of unmatched messages")
    for route in router.routes:
        for destination in route.destinations:
            yield TopicReference(destination, destination.kind, destination.topic, "destination")
