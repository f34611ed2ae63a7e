"""What can be wrong with patterns before a message comes: each with its place in the file."""

from collections.abc import Iterator

from streams.messages.contracts import Contract, Contracts
from streams.messages.tagged import TAG, crosses_tag, tagged_paths
from streams.patterns.by_name import Copies, Mistake, compile_gathering, compile_split
from streams.patterns.stage import stage_of
from streams.routing.comparison_lint import lint_comparison
from streams.routing.conditions import comparisons
from streams.routing.field_types import FieldTypes
from streams.topology import names
from streams.topology.findings import Finding
from streams.topology.integration import Aggregator, Enricher, Pattern, Splitter
from streams.topology.model import Topology
from streams.transforming.conversions import no_contract
from streams.transforming.lint import key_findings

_PAYLOAD = "payload."


def lint(topology: Topology, contracts: Contracts) -> list[Finding]:
    """Findings about the patterns of `topology`."""
    findings: list[Finding] = []
    for pattern in topology.patterns:
        if pattern.destination == pattern.source:
            what = f"{pattern.destination!r} is the pattern's own source"
            findings.append(pattern.finding(f"{what}; messages would circle; name another", "destination"))
        if isinstance(pattern, Enricher):
            findings.append(_enricher(pattern))
        elif isinstance(pattern, Splitter | Aggregator):
            findings += _making(pattern, topology, contracts)
            findings += key_findings([pattern.to], topology, contracts)
        else:
            findings += _passing(pattern, topology, contracts)
    return sorted(set(findings))


def _enricher(pattern: Enricher) -> Finding:
    what = f"an enricher of table {pattern.table!r}"
    why = "this version has no sound way to read the table of another stage"
    return pattern.finding(f"{what}; {why}; complete messages in a converter, or remove it", "kind")


def _passing(pattern: Pattern, topology: Topology, contracts: Contracts) -> Iterator[Finding]:
    """Whatever may come from the source may stand on the destination."""
    source, destination = topology.topics.get(pattern.source), topology.topics.get(pattern.destination)
    if source is None or destination is None:
        return
    known = [contracts[name] for name in destination.contracts if name in contracts]
    missing = [name for name in source.contracts if name in contracts and contracts[name] not in known]
    if source.format != destination.format or missing:
        carried = ", ".join(destination.contracts) or destination.format or "nothing"
        what = (
            f"{pattern.destination!r} carries {carried}, {pattern.source!r} also {', '.join(missing) or source.format}"
        )
        yield pattern.finding(f"{what}; messages are passed on as they are; make them equal", "destination")


def _making(pattern: Splitter | Aggregator, topology: Topology, contracts: Contracts) -> Iterator[Finding]:
    yield from _completion(pattern)
    if pattern.source in names.aggregate_topics(aggregate.name for aggregate in topology.aggregates):
        what = f"{pattern.source!r} is an aggregate's topic, on which messages of any type may come"
        yield pattern.finding(f"{what}; route those that you mean to a topic of their own first", "source")
        return
    if pattern.to not in contracts:
        yield pattern.finding(no_contract(pattern.to, contracts), "to")
        return
    source, target = topology.topics.get(pattern.source), contracts[pattern.to]
    if source is not None and not source.contracts:
        what = f"{pattern.source!r} has no contracts"
        yield pattern.finding(f"{what}; a {_kind(pattern)} reads what comes; give the topic contracts", "source")
    declared = topology.topics.get(pattern.destination)
    if declared is not None and target not in [contracts[name] for name in declared.contracts if name in contracts]:
        what = f"{pattern.destination!r} carries {', '.join(declared.contracts) or declared.format or 'nothing'}"
        yield pattern.finding(f"{what}, not {target.name}; add it to the topic's contracts", "destination")
    carried = [contracts[name] for name in source.contracts if name in contracts] if source else []
    if isinstance(pattern, Aggregator) and pattern.complete.condition is not None:
        for comparison in comparisons(pattern.complete.condition):
            yield from lint_comparison(comparison, FieldTypes(contracts), carried)
    decrypted = topology.security.decrypt.get(stage_of(pattern), ())
    granted = [contracts[name] for name in decrypted if name in contracts]
    for contract in carried:
        yield from _made_of(pattern, contract, target, contracts, granted)


def _made_of(
    pattern: Splitter | Aggregator, source: Contract, target: Contract, contracts: Contracts, granted: list[Contract]
) -> Iterator[Finding]:
    try:
        if isinstance(pattern, Splitter):
            copies = compile_split(source, pattern.items, target).copies
        else:
            copies = compile_gathering(source, target).copies
        yield from _tagged(pattern, copies, source, target, granted=source in granted)
    except Mistake as mistake:
        key = "items" if isinstance(pattern, Splitter) and "no list" in str(mistake) else "to"
        yield pattern.finding(f"{mistake}; correct the contracts, or convert the messages first", key)
    if isinstance(pattern, Aggregator):
        yield from _fields(pattern, source, contracts)


def _tagged(
    pattern: Splitter | Aggregator, copies: Copies, source: Contract, target: Contract, *, granted: bool
) -> Iterator[Finding]:
    """Tagged fields are taken over only into tagged ones, by a stage that may decrypt them."""
    for path, into in copies:
        below = [each for each in tagged_paths(source.schema) if each.startswith((f"{path}.", f"{path}["))]
        for tagged in below or ([path] if crosses_tag(source.schema, path) else []):
            where = into + tagged.removeprefix(path)
            if not crosses_tag(target.schema, where):
                what = f"{tagged!r} of {source.name} is tagged {TAG}, {where!r} of {target.name} is not"
                yield pattern.finding(f"{what}; it would be sent in the clear; tag the field or rename it", "to")
            if not granted:
                what = f"{stage_of(pattern)} copies {tagged!r} of {source.name}, which is tagged {TAG}"
                remedy = f'add "{stage_of(pattern)}": [{source.name}] to security.decrypt'
                yield pattern.finding(f"{what}; it may not decrypt it; {remedy}", "source")


def _fields(pattern: Aggregator, source: Contract, contracts: Contracts) -> Iterator[Finding]:
    """Fields of the source that a group's making looks at."""
    correlate, complete = pattern.correlate, pattern.complete
    if correlate.startswith(_PAYLOAD) and contracts.field_type(source, correlate.removeprefix(_PAYLOAD)) is None:
        yield pattern.finding(f"no field {correlate!r} in {source.name}; its messages are in no group", "correlate")
    if isinstance(complete.count, str):
        found = contracts.field_type(source, complete.count.removeprefix(_PAYLOAD))
        if not complete.count.startswith(_PAYLOAD) or found not in ("int", "long"):
            what = f"count {complete.count!r}"
            why = f"expected a number, or a field of {source.name} that has a whole number"
            yield complete.finding(f"{what}; {why}; correct it", "count")


def _completion(pattern: Splitter | Aggregator) -> Iterator[Finding]:
    if not isinstance(pattern, Aggregator):
        return
    complete = pattern.complete
    if complete.count is None and complete.condition is None and complete.timeout is None:
        yield complete.finding("a group that is never whole; nothing would be made; write count, condition or timeout")
    if isinstance(complete.count, int) and complete.count < 1:
        yield complete.finding(f"a group of {complete.count}; it has at least one message; write 1 or more", "count")


def _kind(pattern: Splitter | Aggregator) -> str:
    return pattern.kind
