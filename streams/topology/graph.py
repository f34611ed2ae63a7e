"""The topology as a Mermaid flowchart: topics, what stands between them, readers, dead letters."""

from collections.abc import Callable, Sequence

from streams.topology import names
from streams.topology.integration import Call, Pattern, Transformation
from streams.topology.model import Destination, Route, Router, Topology

# What Mermaid reads as markup in a label, as the entities it offers.
_ENTITIES = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;"}


PathsOf = Callable[[Transformation], Sequence[str]]
WaysOf = Callable[[Call], tuple[Sequence[str], Sequence[str]]]


def mermaid(
    topology: Topology,
    paths_of: PathsOf = lambda _transformation: (),
    ways_of: WaysOf = lambda _call: ((), ()),
) -> str:
    """Text of a flowchart; the same topology makes the same text.

    Args:
        topology: what to draw.
        paths_of: a line for each path of a transformation, which only the contracts and the domain's code tell.
        ways_of: topics that a call reads, and those that its results go to.
    """
    return _Chart(paths_of, ways_of).draw(topology)


class _Chart:
    """Gives nodes their ids in the order in which they are first drawn."""

    def __init__(self, paths_of: PathsOf, ways_of: WaysOf) -> None:
        self._paths_of = paths_of
        self._ways_of = ways_of
        self._ids: dict[tuple[str, str], str] = {}
        self._lines: list[str] = ["flowchart LR"]

    def draw(self, topology: Topology) -> str:
        for name in topology.topics:
            self._node("topic", name, "[(", ")]")
        for transformation in topology.transformations:
            self._transformation(transformation)
        for router in topology.routers:
            self._router(router)
        for pattern in topology.patterns:
            self._pattern(pattern)
        for call in topology.calls:
            self._call(call)
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

    def _pattern(self, each: Pattern) -> None:
        stage = f"patterns.{each.name}"
        node = self._node("pattern", each.name, "[/", "/]", f"{each.kind.replace('_', ' ')} (stage {stage})")
        self._edge(self._node("topic", each.source, "[(", ")]"), node)
        self._edge(node, self._node("topic", each.destination, "[(", ")]"))
        self._edge(node, self._node("topic", names.dead_letter_topic(stage), "[(", ")]"), "failed", "-.->")

    def _call(self, each: Call) -> None:
        stage = f"calls.{each.name}"
        node = self._node("call", each.name, "[/", "/]", f"{each.request.method} {each.request.path} (stage {stage})")
        sources, results = self._ways_of(each)
        for source in sources:
            self._edge(self._node("topic", source, "[(", ")]"), node, each.on)
        for result in results:
            self._edge(node, self._node("topic", result, "[(", ")]"))
        self._edge(node, self._node("topic", names.dead_letter_topic(stage), "[(", ")]"), "failed", "-.->")

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
