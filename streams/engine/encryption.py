"""Opens what encrypts and decrypts tagged fields: key ring and topic of data keys, where anything needs them."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

from streams.config import Settings
from streams.engine.key_topic import KeyTopic
from streams.messages.contracts import Contract, Contracts
from streams.messages.encryption import Encryption
from streams.messages.tagged import compile_walk
from streams.security.fields import Opener, Sealer
from streams.security.key_ring import load_key_ring, required_key_ring
from streams.topology.model import Topology


@contextmanager
def open_encryption(
    settings: Settings,
    topology: Topology,
    contracts: Contracts,
    *,
    stage: str = "",
    makes: Iterable[Contract] | None = None,
    shredded_as_null: bool = False,
) -> Iterator[Encryption]:
    """Encryption for one stage, or for a command that makes messages; Kafka is asked only where a field is tagged.

    Args:
        settings: where Kafka and the key ring are.
        topology: its security section says whose keys protect what, and what a stage may decrypt.
        contracts: the newest version of each.
        stage: whose grants count; empty: none.
        makes: contracts of the messages that will be made; None: any.
        shredded_as_null: whether fields whose key was shredded are None instead of refused.

    Raises:
        ConfigurationRefused: there is no topic of data keys.
        NotReachable: Kafka does not answer.
        UsageError: the key ring is refused, or missing where the stage was granted something.
    """
    granted = granted_types(topology, contracts, stage)
    made = {contract.full_name for contract in (contracts if makes is None else makes)}
    tagged = {contract.full_name for contract in contracts if compile_walk(contract.schema) is not None}
    subjects = topology.security.subject
    ring = load_key_ring(settings) if tagged & (made | granted) else None
    if ring is None and tagged & granted:
        ring = required_key_ring(settings, f"stage {stage}, which may decrypt,")
    if ring is None:
        yield Encryption(contracts, subjects, None)
        return
    with closing(KeyTopic(settings, ring)) as keys:
        opener = Opener(keys, granted, shredded_as_null=shredded_as_null) if granted else None
        yield Encryption(contracts, subjects, Sealer(keys), opener)


def granted_types(topology: Topology, contracts: Contracts, stage: str) -> frozenset[str]:
    """Full names of the contracts whose tagged fields a stage may decrypt."""
    return frozenset(contracts[name].full_name for name in topology.security.decrypt.get(stage, ()))
