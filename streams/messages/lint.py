"""Checks of the topology against tagged fields: each has a subject, and its text becomes neither key nor subject.

Pure: topology and contracts in, findings with positions out. Conditions on tagged fields are routing's to refuse.
"""

from collections.abc import Iterator

from streams.errors import UsageError
from streams.messages.avsc import Schema, kind_of
from streams.messages.contracts import Contract, Contracts
from streams.messages.encryption import PAYLOAD_PREFIX
from streams.messages.tagged import TAG, compile_walk, crosses_tag, tagged_paths
from streams.messages.tagged_copies import lint_copies
from streams.topology.findings import Finding
from streams.topology.located import Located
from streams.topology.model import Topology

_NO_SUBJECTS = frozenset({"null", "bytes", "fixed", "record", "error", "array", "map", "float", "double", "boolean"})


def lint(topology: Topology, contracts: Contracts) -> list[Finding]:
    """Findings about subjects, granted types, keys and copies that would give away what is encrypted."""
    return sorted(
        {
            *_subjects(topology, contracts),
            *_without_subject(topology, contracts),
            *_granted_types(topology, contracts),
            *_keys(topology, contracts),
            *lint_copies(topology, contracts),
        }
    )


def _subjects(topology: Topology, contracts: Contracts) -> Iterator[Finding]:
    security = topology.security
    for name, field in security.subject.items():
        place = f"subject.{name}"
        if name not in contracts:
            yield security.finding(_no_contract(name), place)
            continue
        why = _no_subject(contracts[name], field, contracts)
        if why:
            yield security.finding(f"{field!r} of {name} cannot be a subject; {why}", place)


def _no_subject(contract: Contract, field: str, contracts: Contracts) -> str:
    path = field.removeprefix(PAYLOAD_PREFIX)
    try:
        found = contracts.field_type(contract, path)
    except UsageError as error:
        return f"{error}"
    if found is None:
        known = ", ".join(each["name"] for each in contract.schema["fields"][:8]) or "none"
        return f"there is no such field; {contract.name} has {known}"
    if "[*]" in field:
        return "a message has one subject, [*] means many; name one"
    if crosses_tag(contract.schema, path):
        return f"it is tagged {TAG}: to decrypt it one would need it; name a field that is not, such as an id"
    if _kinds(found) & _NO_SUBJECTS - {"null"}:
        return "it is neither text nor a whole number; name an id"
    return ""


def _kinds(schema: Schema) -> set[str]:
    return {kind_of(branch) for branch in schema} if isinstance(schema, list) else {kind_of(schema)}


def _without_subject(topology: Topology, contracts: Contracts) -> Iterator[Finding]:
    """A message with tagged fields that nobody's key protects could not be made."""
    named = {contracts[name].full_name for name in topology.security.subject if name in contracts}
    for contract in contracts:
        if contract.full_name not in named and compile_walk(contract.schema) is not None:
            fields = ", ".join(sorted(tagged_paths(contract.schema)))
            what = f"contract {contract.name} tags {fields} {TAG} and has no subject"
            remedy = f"add {contract.name}: payload.<field> to security.subject"
            yield topology.security.finding(f"{what}; the subject's key encrypts them; {remedy}", "subject")


def _granted_types(topology: Topology, contracts: Contracts) -> Iterator[Finding]:
    security = topology.security
    for stage, types in security.decrypt.items():
        for name in types:
            if name not in contracts:
                yield security.finding(_no_contract(name), f"decrypt.{stage}")


def _keys(topology: Topology, contracts: Contracts) -> Iterator[Finding]:
    """What a message is keyed or correlated by stands in its record's key, in ce_subject, in tables: in the clear."""
    for name, settings in topology.contracts.items():
        if name in contracts:
            yield from _in_the_clear(settings, "key", settings.key, [contracts[name]])
    for pattern in topology.patterns:
        topic = topology.topics.get(pattern.source)
        carried = [contracts[name] for name in (topic.contracts if topic else ()) if name in contracts]
        for key in ("correlate", "key"):
            field = getattr(pattern, key, None)
            if field is not None:
                yield from _in_the_clear(pattern, key, field, carried)


def _in_the_clear(piece: Located, key: str, field: str, carried: list[Contract]) -> Iterator[Finding]:
    path = field.removeprefix(PAYLOAD_PREFIX)
    if path != field and any(crosses_tag(contract.schema, path) for contract in carried):
        why = "keys stand in topics and tables as they are"
        yield piece.finding(f"{field!r} is tagged {TAG}; {why}; key by a field that is not", key)


def _no_contract(name: str) -> str:
    return f"no contract {name!r}; its schema is not in the folder of schemas; add {name}.avsc or correct the name"
