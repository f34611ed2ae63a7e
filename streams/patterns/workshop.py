"""Compiles patterns for what the registry holds: readers, fields by name, conditions, keys and headers."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streams.messages.codec import Codec
from streams.messages.contracts import Contract, Contracts
from streams.messages.encryption import Encryption
from streams.messages.framing import FRAME_SIZE, schema_id_of
from streams.messages.message import Record
from streams.messages.registry import Registered, Registry
from streams.patterns.aggregator import CompiledAggregator, compile_correlate, compile_is_whole
from streams.patterns.by_name import compile_gathering, compile_split
from streams.patterns.splitter import CompiledSplitter
from streams.routing.conditions import Test, compile_condition
from streams.routing.late_schemas import LateSchemas
from streams.routing.writers import WriterType
from streams.security.key_ring import KeyRing
from streams.topology.conditions import Condition
from streams.topology.integration import Aggregator, Splitter
from streams.topology.model import Topology
from streams.transforming.making import check_for, compile_maker
from streams.transforming.reading import Arrived, Late, MessageReader


@dataclass(frozen=True)
class Workshop:
    """What patterns are compiled with.

    Args:
        topology: where they and their topics are declared; lint has passed it.
        contracts: the newest version of each.
        codec: encodes and decodes; encrypts, and decrypts what the stage was granted.
        registered: every version in the registry.
        late: finds versions that are registered later.
        ring: signs and verifies; None where neither source nor destination is signed.
    """

    topology: Topology
    contracts: Contracts
    codec: Codec
    registered: Sequence[Registered]
    late: Late
    ring: KeyRing | None = None

    def splitter(self, pattern: Splitter, stage: str) -> CompiledSplitter:
        """A splitter.

        Raises:
            ConfigurationRefused: the contract of what it makes is not registered as it stands.
        """
        carried, target = self._carried(pattern.source), self.contracts[pattern.to]
        splits = {each.name: compile_split(each, pattern.items, target) for each in carried}
        maker = compile_maker(stage, target, pattern.destination, self.topology, self.codec, self.ring)
        return CompiledSplitter(self._reader(pattern.source), splits, maker)

    def aggregator(self, pattern: Aggregator, stage: str) -> CompiledAggregator:
        """An aggregator.

        Raises:
            ConfigurationRefused: the contract of what it makes is not registered as it stands.
        """
        carried, target = self._carried(pattern.source), self.contracts[pattern.to]
        return CompiledAggregator(
            self._reader(pattern.source),
            {each.name: compile_gathering(each, target) for each in carried},
            compile_correlate(pattern.correlate),
            compile_is_whole(pattern.complete.count, self._holds(pattern.complete.condition)),
            compile_maker(stage, target, pattern.destination, self.topology, self.codec, self.ring),
        )

    def _carried(self, topic: str) -> list[Contract]:
        return [self.contracts[name] for name in self.topology.topics[topic].contracts]

    def _reader(self, topic: str) -> MessageReader:
        check = check_for(topic, self.topology, self.ring)
        return MessageReader(topic, self._carried(topic), self.codec, self.registered, self.late, check)

    def _holds(self, condition: Condition | None) -> Callable[[Record, Arrived], bool]:
        """The condition, compiled for each version of a contract when its first message comes."""
        if condition is None:
            return lambda _record, _arrived: False
        tests: dict[bytes, Test | bool] = {}

        def holds(record: Record, arrived: Arrived) -> bool:
            head = arrived.value[:FRAME_SIZE]
            if head not in tests:
                version = self.late(schema_id_of(head))
                assert version is not None  # noqa: S101 its message was read
                tests[head] = compile_condition(condition, WriterType(version, self.contracts))
            test = tests[head]
            return test if isinstance(test, bool) else test(arrived.headers, record, arrived.value)

        return holds


def open_workshop(
    topology: Topology, contracts: Contracts, registry: Registry, encryption: Encryption, ring: KeyRing | None
) -> Workshop:
    """A workshop for what `registry` holds; it is asked again about ids that come later.

    Raises:
        NotReachable: the registry does not answer.
    """
    registered = registry.all()
    codec = Codec(contracts, registered, encryption)
    late = LateSchemas(registry, time.monotonic, registered)
    return Workshop(topology, contracts, codec, registered, late.find, ring)
