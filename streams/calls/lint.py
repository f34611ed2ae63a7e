"""What can be wrong with calls before an intent comes: each with its place in the file."""

import re
from collections.abc import Iterator

from streams.calls.intents import result_topics, results_of, sources_of, stage_of
from streams.calls.timing import LONGEST_TIMEOUT_S
from streams.messages.contracts import Contracts
from streams.routing.router import EVENTS_SUFFIX
from streams.topology.findings import Finding
from streams.topology.integration import Call
from streams.topology.model import Topology
from streams.topology.operations import SECOND_MS
from streams.transforming.conversions import no_contract
from streams.transforming.lint import key_findings

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2


def lint(topology: Topology, contracts: Contracts) -> list[Finding]:
    """Findings about the calls of `topology`."""
    findings: list[Finding] = []
    for call in topology.calls:
        findings += [*_names(call, contracts), *_request(call), *_sources(call, topology, contracts)]
        findings += _results(call, topology, contracts)
        findings += key_findings(results_of(call), topology, contracts)
    return sorted(set(findings))


def _names(call: Call, contracts: Contracts) -> Iterator[Finding]:
    if call.on not in contracts:
        yield call.finding(no_contract(call.on, contracts), "on")
    for key, command in zip(("succeeds_with", "fails_with"), results_of(call), strict=True):
        if command not in contracts:
            yield call.result.finding(no_contract(command, contracts), key)


def _request(call: Call) -> Iterator[Finding]:
    if call.timeout > LONGEST_TIMEOUT_S * SECOND_MS:
        what = f"timeout of {call.timeout / SECOND_MS:g} s"
        why = "a call has to end within its cycle's transaction"
        yield call.finding(f"{what}; {why}; write at most {LONGEST_TIMEOUT_S:g}s", "timeout")
    header = call.request.idempotency_header
    if not _TOKEN.fullmatch(header):
        what = f"{header!r} as the name of a header"
        yield call.request.finding(f"{what}; HTTP has no such names; write Idempotency-Key", "idempotency_header")


def _sources(call: Call, topology: Topology, contracts: Contracts) -> Iterator[Finding]:
    if call.on not in contracts:
        return
    sources = sources_of(call, topology)
    if not sources:
        what = f"no topic carries {call.on}"
        yield call.finding(f"{what}; without aggregates a declared topic has to; add it to its contracts", "on")
    counts = {source: count for source in sources if (count := _partitions(source, topology)) is not None}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{source} {count}" for source, count in counts.items())
        what = f"the sources of {stage_of(call)} differ in partitions: {told}"
        yield call.finding(f"{what}; they move together; name the one with {call.on} as source", "on")
    declared = topology.topics.get(call.source or "")
    if declared is not None and contracts[call.on] not in [contracts[n] for n in declared.contracts if n in contracts]:
        carried = ", ".join(declared.contracts) or declared.format or "nothing"
        what = f"{call.source!r} carries {carried}, not {call.on}"
        yield call.finding(f"{what}; add it to the topic's contracts or name another", "source")


def _partitions(topic: str, topology: Topology) -> int | None:
    for aggregate in topology.aggregates:
        if topic == f"{aggregate.name}{EVENTS_SUFFIX}":
            return aggregate.partitions
    declared = topology.topics.get(topic)
    return declared.partitions if declared else None


def _results(call: Call, topology: Topology, contracts: Contracts) -> Iterator[Finding]:
    for key, command in zip(("succeeds_with", "fails_with"), results_of(call), strict=True):
        if command not in contracts or call.on not in contracts:
            continue
        for source in sources_of(call, topology):
            topics = result_topics(command, source, topology)
            if len(topics) != 1:
                what = f"{command} of {source!r} goes to {' or '.join(topics) or 'no topic'}"
                why = "it does not come from an aggregate, so one declared topic has to carry that contract"
                yield call.result.finding(f"{what}; {why}; correct the topics' contracts", key)
            elif topics == (source,):
                what = f"{command} goes to {source!r}, from which the call reads"
                yield call.result.finding(f"{what}; messages would circle; give it a topic of its own", key)
