"""What can be wrong with transformations, mappings and formats before a message comes: each with its place in the file.

Every transformation is proven here: a path leads from each format that it takes to its target.
"""

from collections.abc import Iterable, Iterator

from streams.errors import UnsupportedTransformation, UsageError
from streams.messages.contracts import Contract, Contracts
from streams.messages.keys import compile_key
from streams.topology import names
from streams.topology.findings import Finding
from streams.topology.integration import Transformation
from streams.topology.model import Topology
from streams.transforming.avro_types import AvroType
from streams.transforming.conversions import Conversions, carried_formats, no_format, taken_formats
from streams.transforming.converters import UnknownFormat
from streams.transforming.formats import compile_format

_STAGES_OF_OTHERS = ("sagas", "deadletters")
_PREFIXES_OF_OTHERS = ("projections.", "calls.", "patterns.", "reactions.")


def lint(topology: Topology, conversions: Conversions) -> list[Finding]:
    """Findings about the formats, mappings and transformations of `topology`."""
    findings = [
        *conversions.findings,
        *_formats(topology, conversions),
        *_stages(topology),
        *key_findings({each.to for each in topology.transformations}, topology, conversions.contracts),
    ]
    for transformation in topology.transformations:
        findings += _transformation(transformation, topology, conversions)
    return sorted(set(findings))


def _formats(topology: Topology, conversions: Conversions) -> Iterator[Finding]:
    contracts = conversions.contracts
    for topic in topology.topics.values():
        if topic.format is None:
            continue
        if topic.format not in contracts:
            yield topic.finding(no_format(topic.format, contracts), "format")
            continue
        try:
            compile_format(contracts[topic.format], conversions.readers)
        except UnknownFormat as error:
            yield topic.finding(str(error), "format")


def _stages(topology: Topology) -> Iterator[Finding]:
    taken = {*_STAGES_OF_OTHERS, *(router.stage for router in topology.routers)}
    taken |= {aggregate.name for aggregate in topology.aggregates}
    leads: dict[str, Transformation] = {}
    made: dict[tuple[str, str, str, str], Transformation] = {}
    for each in topology.transformations:
        if each.stage in taken or each.stage.startswith(_PREFIXES_OF_OTHERS):
            what = f"stage {each.stage!r} for a transformation"
            yield each.finding(f"{what}; other kinds of stages have that name; choose another", "stage")
        first = made.setdefault((each.stage, each.source, each.to, each.destination), each)
        if first is not each:
            what = f"{each.source!r} to {each.to} in {each.destination!r} again"
            yield each.finding(f"{what}; line {first.line} has it, and messages would double; remove one", "source")
        lead = leads.setdefault(each.stage, each)
        counts = [_partitions(topology, one.source) for one in (lead, each)]
        if None not in counts and counts[0] != counts[1]:
            what = f"{each.source!r} has {counts[1]} partitions, {lead.source!r} has {counts[0]}"
            why = f"sources of stage {each.stage!r} move together"
            yield each.finding(f"{what}; {why}; make them equal or name another stage", "source")


def _partitions(topology: Topology, topic: str) -> int | None:
    declared = topology.topics.get(topic)
    return declared.partitions if declared else None


def key_findings(made: Iterable[str], topology: Topology, contracts: Contracts) -> Iterator[Finding]:
    """Findings about the keys of messages of the contracts `made`."""
    for contract in {contracts[name] for name in made if name in contracts}:
        settings = topology.contracts.get(contract.name) or topology.contracts.get(contract.full_name)
        if settings is None:
            continue
        try:
            compile_key(contract, settings.key)
        except UsageError as error:
            yield settings.finding(str(error), "key")
            continue
        if contracts.field_type(contract, settings.key.removeprefix("payload.")) is None:
            fields = ", ".join(AvroType.of(contract).fields)
            yield settings.finding(f"no field {settings.key!r} in {contract.name}; it has {fields}", "key")


def _transformation(each: Transformation, topology: Topology, conversions: Conversions) -> Iterator[Finding]:
    yield from _source(each, topology, conversions)
    contracts = conversions.contracts
    if each.to not in contracts:
        yield each.finding(no_format(each.to, contracts), "to")
        return
    target = contracts[each.to]
    yield from _destination(each, target, topology, conversions)
    for name in taken_formats(each, topology):
        if name not in contracts:
            continue  # said of the topic, or of `from`
        try:
            conversions.path(contracts[name], target)
        except UnsupportedTransformation as error:
            yield each.finding(str(error), "to")


def _source(each: Transformation, topology: Topology, conversions: Conversions) -> Iterator[Finding]:
    contracts = conversions.contracts
    if each.source in names.aggregate_topics(aggregate.name for aggregate in topology.aggregates):
        what = f"{each.source!r} is an aggregate's topic, on which messages of any type may come"
        yield each.finding(f"{what}; route those to convert to a topic of their own first", "source")
        return
    carried = carried_formats(each.source, topology)
    if not carried and each.source in topology.topics:
        what = f"{each.source!r} has no contracts and no format"
        yield each.finding(f"{what}; a transformation has to know what comes; give the topic one of them", "source")
    if each.from_ is None:
        return
    if each.from_ not in contracts:
        yield each.finding(no_format(each.from_, contracts), "from")
    elif carried and contracts[each.from_] not in [contracts[name] for name in carried if name in contracts]:
        yield each.finding(
            f"{each.source!r} carries {', '.join(carried)}, not {each.from_}; correct one of them", "from"
        )


def _destination(
    each: Transformation, target: Contract, topology: Topology, conversions: Conversions
) -> Iterator[Finding]:
    if each.destination == each.source:
        what = f"{each.destination!r} is the transformation's own source"
        yield each.finding(f"{what}; messages would circle; name another", "destination")
    declared = topology.topics.get(each.destination)
    if declared is None:
        return
    if declared.format:
        what = f"{each.destination!r} carries {declared.format}"
        yield each.finding(f"{what}; Headrace writes Avro; give the topic contracts: [{target.name}]", "destination")
        return
    contracts = conversions.contracts
    if target not in [contracts[name] for name in declared.contracts if name in contracts]:
        carried = ", ".join(declared.contracts) or "nothing"
        what = f"{each.destination!r} carries {carried}, not {target.name}"
        yield each.finding(f"{what}; add it to the topic's contracts or name another", "destination")
