"""What a registry needs for the contracts of the folder: versions to register, ids to record, what is incompatible."""

from collections.abc import Iterator, Sequence
from contextlib import closing

from streams.config import Settings
from streams.engine.registries import RecordedRegistry, open_registry
from streams.messages.avsc import SchemaMistake, identity, normalise
from streams.messages.compatibility import incompatibilities_with_all
from streams.messages.contracts import Contract, Contracts
from streams.messages.registry import Registered
from streams.topology import names
from streams.topology.changes import Change, RecordIds, Refused, RegisterContract
from streams.topology.cluster_state import ClusterState


def contract_changes(settings: Settings, contracts: Contracts, cluster: ClusterState) -> list[Change]:
    """Changes to the registry that the settings name, in the order of the contracts.

    Raises:
        NotReachable: it does not answer.
        ConfigurationRefused: it lacks ids that are in use on the cluster.
    """
    if not settings.registry_url() and names.SCHEMAS_TOPIC not in cluster.topics:
        return [RegisterContract(contract.full_name) for contract in contracts]
    with closing(open_registry(settings)) as registry:
        registered = registry.all()
        recorded = registry.recorded() if isinstance(registry, RecordedRegistry) else registered
    ids = {each.id for each in recorded}
    return [change for contract in contracts for change in _changes(contract, registered, ids)]


def _changes(contract: Contract, registered: Sequence[Registered], recorded: set[int]) -> Iterator[Change]:
    versions = [each for each in registered if each.subject == contract.subject]
    if not any(_identity(each) == contract.identity for each in versions):
        found = incompatibilities_with_all(contract, versions)
        yield from (Refused(f"contract {contract.full_name}", line) for line in found)
        if not found:
            yield RegisterContract(contract.full_name)
    elif any(each.id not in recorded for each in versions):
        yield RecordIds(contract.full_name)


def _identity(registered: Registered) -> str:
    """What the schema is compared by; empty for one that could be no contract, as others put into an HTTP registry."""
    try:
        return identity(normalise(registered.schema))
    except SchemaMistake:
        return ""
