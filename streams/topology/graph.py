"""The topology as a Mermaid flowchart: topics, transformations with their paths, routers, readers, dead letters."""

from collections.abc import Callable, Sequence

from streams.topology import names
from streams.topology.integration import Transformation
from streams.topology.model import Destination, Route, Router, Topology

# What Mermaid reads as markup in a label, as the entities it offers.
_ENTITIES = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;"}


PathsOf = Callable[[Transformation], Sequence[str]]


def mermaid(topology: Topology, paths_of: PathsOf = lambda _transformation: ()) -> str:
    """Text of a flowchart; the same topology makes the same text.

    Args:
        topology: what to draw.
        paths_of: a line for each path of a transformation, which only the contracts and the domain's code tell.
    """
    return _Chart(paths_of).draw(topology)


class _Chart:
    """Gives nodes their ids in the order in which they are first drawn."""

    def __init__(self, paths_of: PathsOf) -> None:
        self._paths_of = paths_of
        self._ids: dict[tuple[str, str], str] = {}
        self._lines: list[str] = ["flowchart LR"]

    def draw(self, topology: Topology) -> str:
        for name in topology.topics:
            self._node("topic", name, "[(", ")]")
        for transformation in topology.transformations:
            self._transformation(transformation)
        for router in topology.routers:
            self._router(router)
        return "\n".join(self._lines)

    def _node(self, kind: str, name: str, opening: str, closing: str, label: str = "") -> str:
        """Id of a node, drawn when it is first asked for."""
        if (kind, name) not in self._ids:
            self._ids[kind, name] = f"n{len(self._ids)}"
            self._lines.append(f'  {self._ids[kind, name]}{opening}"{_escaped(label or name)}"{closing}')
        return self._ids[kind, name]

    def _edge(self, start: str, end: str, label: str = "", arrow: str = "-->") -> None:
        line = f"  {start} {arrow}{f'|{chr(34)}{_escaped(label)}{chr(34)}|' if label else ''} {end}"
        if line not in self._lines:
            self._lines.append(line)

    def _transformation(self, each: Transformation) -> None:
        name = f"{each.stage} {each.source} {each.from_} {each.to} {each.destination}"
        node = self._node("transformation", name, "[/", "/]", f"to {each.to} (stage {each.stage})")
        source = self._node("topic", each.source, "[(", ")]")
        for path in self._paths_of(each) or ("",):
            self._edge(source, node, path)
        self._edge(node, self._node("topic", each.destination, "[(", ")]"))
        self._edge(node, self._node("topic", names.dead_letter_topic(each.stage), "[(", ")]"), "failed", "-.->")

    def _router(self, router: Router) -> None:
        label = f"router of {router.source} (stage {router.stage}, {router.mode})"
        node = self._node("router", f"{router.stage} {router.source}", "{{", "}}", label)
        self._edge(self._node("topic", router.source, "[(", ")]"), node)
        for route in router.routes:
            self._route(router, route, node)
        letters = self._node("topic", names.dead_letter_topic(router.stage), "[(", ")]")
        if router.unmatched == "deadletter":
            self._edge(node, letters, "unmatched or failed", "-.->")
            return
        self._edge(node, letters, "failed", "-.->")
        if router.unmatched != "drop":
            self._edge(node, self._node("topic", router.unmatched, "[(", ")]"), "unmatched")

    def _route(self, router: Router, route: Route, node: str) -> None:
        name = f"{router.stage} {router.source} {route.name}"
        route_node = self._node("route", name, "[", "]", route.name)
        self._edge(node, route_node)
        for destination in route.destinations:
            self._destination(destination, route_node)

    def _destination(self, destination: Destination, route_node: str) -> None:
        topic = self._node("topic", destination.topic, "[(", ")]")
        self._edge(route_node, topic)
        if destination.group:
            is_queue = destination.kind == "queue"
            label = f"queue {destination.topic}" if is_queue else f"subscription {destination.subscription}"
            self._edge(topic, self._node("group", destination.group, "([", "])", label))


def _escaped(text: str) -> str:
    return "".join(_ENTITIES.get(letter, letter) for letter in text)
