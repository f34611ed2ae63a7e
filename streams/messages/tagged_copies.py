"""Mappings that copy tagged fields: only into tagged ones, and only in stages that may decrypt them.

What a converter in Python copies cannot be seen here; without a grant it finds the encrypted form, which the codec
refuses to put into another message's tagged field.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from streams.errors import UsageError
from streams.messages.avsc import Schema
from streams.messages.contracts import Contracts
from streams.messages.tagged import TAG, crosses_tag
from streams.topology.findings import Finding
from streams.topology.integration import ConversionMapping, FieldMapping, Transformation
from streams.topology.model import Topology


@dataclass(frozen=True, slots=True)
class Copy:
    """A field of the target that takes something from a tagged field of the source."""

    field: FieldMapping
    source: str
    target: str


def lint_copies(topology: Topology, contracts: Contracts) -> Iterator[Finding]:
    """Findings about mappings that would write out what is encrypted, and stages that may not read it."""
    for mapping in topology.mappings:
        if mapping.from_ in contracts and mapping.to in contracts:
            copies = list(_copies(mapping.fields, contracts[mapping.from_].schema))
            for copy in copies:
                yield from _into_the_clear(copy, mapping, contracts[mapping.to].schema)
                yield from _told_with_its_value(copy, mapping)
            yield from _without_grant(copies, mapping, topology, contracts)


def _copies(fields: Mapping[str, FieldMapping], schema: Schema, within: str = "", into: str = "") -> Iterator[Copy]:
    for name, field in fields.items():
        split, looked_up = field.split.from_ if field.split else None, field.lookup.key if field.lookup else None
        for path in (field.from_, field.each, split, looked_up, *(field.concat or ())):
            if path is not None and _crosses(schema, within + path):
                yield Copy(field, within + path, into + name)
        if field.each is not None and field.fields is not None:
            yield from _copies(field.fields, schema, f"{within}{field.each}[*].", f"{into}{name}[*].")


def _crosses(schema: Schema, path: str) -> bool:
    try:
        return crosses_tag(schema, path)
    except UsageError:  # a literal of `concat` may be no path
        return False


def _into_the_clear(copy: Copy, mapping: ConversionMapping, target: Schema) -> Iterator[Finding]:
    if not _crosses(target, copy.target):
        what = f"{copy.source!r} of {mapping.from_} is tagged {TAG}, {copy.target!r} of {mapping.to} is not"
        yield copy.field.finding(f"{what}; it would be sent in the clear; tag the field or leave it out")


def _told_with_its_value(copy: Copy, mapping: ConversionMapping) -> Iterator[Finding]:
    """The error of a cast or lookup that fails quotes what it was given, in a dead letter's header."""
    if copy.field.cast is not None or copy.field.lookup is not None:
        what = f"{copy.source!r} of {mapping.from_} is tagged {TAG}, and {'cast' if copy.field.cast else 'looked up'}"
        yield copy.field.finding(f"{what}; a failure would quote it in a dead letter; copy it as it is")


def _without_grant(
    copies: list[Copy], mapping: ConversionMapping, topology: Topology, contracts: Contracts
) -> Iterator[Finding]:
    if not copies:
        return
    source = contracts[mapping.from_]
    for each in topology.transformations:
        taken = [contracts[name] for name in _taken(each, topology) if name in contracts]
        granted = [contracts[name] for name in topology.security.decrypt.get(each.stage, ()) if name in contracts]
        if source in taken and source not in granted:
            what = f"stage {each.stage!r} copies {copies[0].source!r} of {source.name}, which is tagged {TAG}"
            remedy = f"add {each.stage}: [{source.name}] to security.decrypt, or leave it out of the mapping"
            yield each.finding(f"{what}; it may not decrypt it; {remedy}", "source")


def _taken(transformation: Transformation, topology: Topology) -> tuple[str, ...]:
    """Contracts of the messages that a transformation takes."""
    if transformation.from_ is not None:
        return (transformation.from_,)
    topic = topology.topics.get(transformation.source)
    return topic.contracts if topic else ()
