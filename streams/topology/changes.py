"""The kinds of difference between a topology and a cluster: what each does, in words, before and after."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from streams.topology.desired import DesiredTopic


@dataclass(frozen=True)
class Change(ABC):
    """One difference; `action` is said before it is made, `done` after."""

    action: ClassVar[str] = ""
    done: ClassVar[str] = ""

    @property
    @abstractmethod
    def target(self) -> str:
        """What it is made to."""

    @property
    @abstractmethod
    def detail(self) -> str:
        """What will be different."""

    @property
    def destructive(self) -> bool:
        """Whether records could be lost by it."""
        return False

    def told(self, verb: str) -> str:
        """The change as a line that begins with `verb`."""
        return f"{verb} {self.target}: {self.detail}"


@dataclass(frozen=True)
class _NamedChange(Change):
    """A difference of the thing that is called `name`."""

    name: str

    @property
    def target(self) -> str:
        """Its name."""
        return self.name


@dataclass(frozen=True)
class _ConfigsChange(_NamedChange):
    """Configs to set: name -> before and after."""

    configs: Mapping[str, tuple[str, str]]

    @property
    def detail(self) -> str:
        """Each config, before and after."""
        return ", ".join(f"{name} {old} -> {new}" for name, (old, new) in sorted(self.configs.items()))


@dataclass(frozen=True)
class CreateTopic(Change):
    """Make a topic."""

    topic: DesiredTopic
    action = "create topic"
    done = "created topic"

    @property
    def target(self) -> str:
        """The topic."""
        return self.topic.name

    @property
    def detail(self) -> str:
        """Partitions, copies and configs."""
        configs = ", ".join(f"{name}={value}" for name, value in sorted(self.topic.configs.items()))
        return f"{_partitions(self.topic.partitions)}, replication {self.topic.replication}, {configs}"


@dataclass(frozen=True)
class GrowTopic(_NamedChange):
    """Add partitions to a topic."""

    before: int
    after: int
    action = "grow topic"
    done = "grew topic"

    @property
    def detail(self) -> str:
        """Both counts, and what growing costs."""
        return f"{self.before} -> {_partitions(self.after)}; keys move, so their order is not kept across the change"


@dataclass(frozen=True)
class ConfigureTopic(_ConfigsChange):
    """Set configs of a topic: name -> before and after."""

    loses: bool = False
    action = "configure topic"
    done = "configured topic"

    @property
    def destructive(self) -> bool:
        """Whether records could be lost by it."""
        return self.loses


@dataclass(frozen=True)
class DeleteTopic(_NamedChange):
    """Delete the changelog of a table that is gone."""

    action = "delete topic"
    done = "deleted topic"

    @property
    def detail(self) -> str:
        """Why."""
        return "its stage no longer has the table"

    @property
    def destructive(self) -> bool:
        """All its records go."""
        return True


@dataclass(frozen=True)
class RegisterContract(_NamedChange):
    """Register a contract's schema."""

    action = "register contract"
    done = "registered contract"

    @property
    def detail(self) -> str:
        """What happens."""
        return "its schema gets an id"


@dataclass(frozen=True)
class RecordIds(_NamedChange):
    """Record the ids that a registry over HTTP gave to a contract's versions."""

    action = "record ids of contract"
    done = "recorded ids of contract"

    @property
    def detail(self) -> str:
        """What it is good for."""
        return "the registry has versions whose ids are not recorded as in use on this cluster"


@dataclass(frozen=True)
class PresetOffsets(Change):
    """Give a group offsets where it has none."""

    group: str
    topic: str
    partitions: tuple[int, ...]
    start: Literal["start", "end"]
    action = "preset offsets of group"
    done = "preset offsets of group"

    @property
    def target(self) -> str:
        """The group."""
        return self.group

    @property
    def detail(self) -> str:
        """Topic, partitions and where."""
        partitions = ",".join(map(str, self.partitions))
        return f"{self.topic}/{partitions} to the {self.start}"


@dataclass(frozen=True)
class ConfigureGroup(_ConfigsChange):
    """Set configs of a KIP-848 group: name -> before and after."""

    action = "configure group"
    done = "configured group"


@dataclass(frozen=True)
class Refused(_NamedChange):
    """What the topology asks for and cannot be had; nothing at all is applied while one stands."""

    why: str
    action = "refused"
    done = "refused"

    @property
    def detail(self) -> str:
        """Why, and what to do."""
        return self.why


def _partitions(count: int) -> str:
    return f"{count} partition{'s' if count > 1 else ''}"
