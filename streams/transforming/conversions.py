"""Every converter there is, and the paths that the topology's transformations take over them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from streams.errors import UnsupportedTransformation, UsageError
from streams.messages.contracts import Contract, Contracts
from streams.topology.findings import Finding
from streams.topology.integration import ConversionMapping, Transformation
from streams.topology.model import Topology
from streams.transforming.converters import Converter, Converters, ReadValue
from streams.transforming.mapping import compile_mapping
from streams.transforming.path_finding import Path, cheapest_path, formats_reached


@dataclass(frozen=True)
class Conversions:
    """The graph of formats. Its nodes are full names of contracts.

    Args:
        contracts: the newest version of each.
        converters: those whose formats are contracts.
        left_out: the others, and why, a line each.
        readers: of formats that only the domain can read.
        findings: what is wrong with the mappings.
    """

    contracts: Contracts
    converters: tuple[Converter, ...]
    left_out: tuple[str, ...]
    readers: Mapping[str, ReadValue]
    findings: tuple[Finding, ...]

    def path(self, source: Contract, target: Contract) -> Path:
        """The cheapest path between two formats.

        Raises:
            UnsupportedTransformation: there is none.
        """
        found = cheapest_path(self.converters, source.full_name, target.full_name)
        if found is None:
            reached = [self.short(name) for name in formats_reached(self.converters, source.full_name)]
            what = f"no converters lead from {source.name} to {target.name}"
            why = f"from {source.name} they lead to {', '.join(reached) or 'nothing'}"
            left_out = "".join(f"; left out: {line}" for line in self.left_out)
            raise UnsupportedTransformation(f"{what}; {why}; add a mapping or register a converter{left_out}")
        return found

    def short(self, name: str) -> str:
        """A format as people call it."""
        return self.contracts[name].name


def conversions_of(topology: Topology, contracts: Contracts, registered: Converters) -> Conversions:
    """The converters of `topology` and those that the domain registered, with all findings about the mappings."""
    edges: dict[tuple[str, str], Converter] = {}
    left_out: list[str] = []
    for each in registered:
        unknown = [name for name in (each.source, each.target) if name not in contracts]
        if unknown:
            left_out.append(f"{each.source} -> {each.target} of {each.origin}, as there is no contract {unknown[0]!r}")
            continue
        source, target = (contracts[name].full_name for name in (each.source, each.target))
        edges[source, target] = Converter(source, target, each.cost, each.function, each.origin)
    findings: list[Finding] = []
    for mapping in topology.mappings:
        findings += _add_mapping(mapping, contracts, edges)
    return Conversions(contracts, tuple(edges.values()), tuple(left_out), registered.readers, tuple(findings))


def _add_mapping(
    mapping: ConversionMapping, contracts: Contracts, edges: dict[tuple[str, str], Converter]
) -> Iterator[Finding]:
    """Add the mapping's edge, even one with findings: those are told, and a path that needs it is not missing."""
    unknown = [key for key, name in (("from", mapping.from_), ("to", mapping.to)) if name not in contracts]
    for key in unknown:
        yield mapping.finding(no_format(mapping.from_ if key == "from" else mapping.to, contracts), key)
    if unknown:
        return
    source, target = contracts[mapping.from_], contracts[mapping.to]
    if source.full_name == target.full_name:
        yield mapping.finding(f"from {source.name} to itself; such messages need no mapping; remove it", "to")
        return
    compiled = compile_mapping(mapping, source, target)
    yield from compiled.findings
    formats = source.full_name, target.full_name
    made = Converter(*formats, mapping.cost, compiled.convert, f"mapping in line {mapping.line}", is_python=False)
    first = edges.setdefault(formats, made)
    if first is not made:
        what = f"a second converter from {source.name} to {target.name}"
        yield mapping.finding(f"{what}; the first is {first.origin}, and one is enough; remove one", "from")


def no_format(name: str, contracts: Contracts) -> str:
    """Finding about a name that no contract has."""
    near = get_close_matches(name[:100], sorted(contracts.names), 1)
    remedy = f"did you mean {near[0]!r}?" if near else f"add {name}.avsc or correct the name"
    return f"no format {name!r}; formats are contracts; {remedy}"


def no_contract(name: str, contracts: Contracts) -> str:
    """Finding about a name of a message's type that no contract has."""
    near = get_close_matches(name[:100], sorted(contracts.names), 1)
    remedy = f"did you mean {near[0]!r}?" if near else f"add {name}.avsc or correct the name"
    return f"no contract {name!r}; its schema is not in the folder of schemas; {remedy}"


def taken_formats(transformation: Transformation, topology: Topology) -> tuple[str, ...]:
    """Names of the formats of messages that a transformation takes: what `from` says, else all of its topic."""
    if transformation.from_ is not None:
        return (transformation.from_,)
    return carried_formats(transformation.source, topology)


def carried_formats(topic: str, topology: Topology) -> tuple[str, ...]:
    """Names of the formats of the messages on a declared topic."""
    declared = topology.topics.get(topic)
    if declared is None:
        return ()
    return (declared.format,) if declared.format else declared.contracts


def described_path(path: Path, conversions: Conversions, source: Contract) -> str:
    """A path in one line: `a -> b -> c (cost 3)`; of no hop: `order as it is`."""
    if not path:
        return f"{source.name} as it is"
    names = [source.name, *(conversions.short(hop.target) for hop in path)]
    return f"{' -> '.join(names)} (cost {sum(hop.cost for hop in path)})"


def described_paths(transformation: Transformation, topology: Topology, conversions: Conversions) -> list[str]:
    """A line for each format that a transformation takes; also of a topology that lint would not pass."""
    contracts = conversions.contracts
    lines = []
    for name in taken_formats(transformation, topology):
        try:
            source = contracts[name]
            lines.append(described_path(conversions.path(source, contracts[transformation.to]), conversions, source))
        except (UnsupportedTransformation, UsageError):
            lines.append(f"{name} -> {transformation.to}: no path")
    return lines
