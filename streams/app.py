"""Composition root: settings + topology + domain -> stages. The one place that knows every package.

A domain is the module that HEADRACE_APP names. Its stages join those of the topology where it has
`stage_specs(topology) -> Iterable[StageSpec]` and `stage_app(spec, world) -> StageApp`, its converters those of the
mappings where it has `converters`, a `streams.transforming.converters.Converters`.
How a stage is in its group is the operator's to say: `stages` of topology.yaml overrides what its package declares.
"""

import importlib
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType

from streams.calls.lint import lint as lint_calls
from streams.calls.stage import call_specs, call_stage
from streams.config import Settings
from streams.deadletters.requests import STAGE as DEADLETTERS
from streams.deadletters.stage import deadletters_spec, deadletters_stage
from streams.engine.app import StageApp
from streams.engine.encryption import open_encryption
from streams.engine.registries import open_registry
from streams.engine.stage import StageSpec
from streams.errors import UsageError
from streams.messages.contracts import Contracts, load_contracts
from streams.messages.encryption import Encryption
from streams.messages.lint import lint as lint_messages
from streams.messages.registry import Registry
from streams.patterns.lint import lint as lint_patterns
from streams.patterns.stage import pattern_specs, pattern_stage
from streams.routing.lint import lint as lint_routing
from streams.routing.stage import router_specs, router_stage
from streams.security.lint import lint as lint_security
from streams.topology.findings import Finding, findings_found
from streams.topology.lint import lint as lint_topology
from streams.topology.loading import load_topology
from streams.topology.model import Topology
from streams.transforming.conversions import Conversions, conversions_of
from streams.transforming.converters import Converters
from streams.transforming.lint import lint as lint_transforming
from streams.transforming.stage import transformer_specs, transformer_stage


@dataclass(frozen=True)
class World:
    """What every stage is made from."""

    settings: Settings
    topology: Topology
    contracts: Contracts
    conversions: Conversions

    def open_registry(self) -> Registry:
        """The registry that the settings name.

        Raises:
            NotReachable: it does not answer.
        """
        return open_registry(self.settings)

    def encryption(self, stage: str) -> AbstractContextManager[Encryption]:
        """What encrypts the tagged fields that a stage makes and decrypts those it was granted.

        Raises (when entered):
            ConfigurationRefused: data keys cannot be had.
            UsageError: the key ring is missing where it is needed, or refused.
        """
        return open_encryption(self.settings, self.topology, self.contracts, stage=stage)


def load_world(settings: Settings) -> World:
    """Read the topology and the contracts, and refuse what lint finds.

    Raises:
        FindingsFound: one line a finding.
        UsageError: a file or folder cannot be read.
    """
    topology = load_topology(settings.topology)
    contracts = load_contracts(settings.schemas)
    conversions = (
        load_conversions(settings, topology, contracts)
        if _needs_converters(topology)
        else conversions_of(topology, contracts, Converters())
    )
    findings = lint(topology, contracts, conversions)
    if findings:
        raise findings_found(settings.topology, findings)
    return World(settings, topology, contracts, conversions)


def lint(topology: Topology, contracts: Contracts, conversions: Conversions) -> list[Finding]:
    """What every package finds wrong with the topology, in the order of the file."""
    return sorted(
        [
            *lint_topology(topology, contracts.names),
            *lint_security(topology),
            *lint_messages(topology, contracts),
            *lint_routing(topology, contracts),
            *lint_transforming(topology, conversions),
            *lint_patterns(topology, contracts),
            *lint_calls(topology, contracts),
        ]
    )


def _needs_converters(topology: Topology) -> bool:
    """Whether the domain's code has a part in what lint proves; else it is not loaded for it."""
    return bool(topology.transformations) or any(topic.format for topic in topology.topics.values())


def load_conversions(settings: Settings, topology: Topology, contracts: Contracts) -> Conversions:
    """Every converter: the topology's mappings, and those of the domain.

    Raises:
        UsageError: the domain cannot be loaded, or its `converters` are none.
    """
    return conversions_of(topology, contracts, converters_of(load_domain(settings.app)))


def converters_of(domain: ModuleType | None) -> Converters:
    """What the domain registered.

    Raises:
        UsageError: its `converters` is something else.
    """
    found = getattr(domain, "converters", None) or Converters()
    if not isinstance(found, Converters):
        raise UsageError(
            f"{getattr(domain, '__name__', '')}.converters: expected Converters() of streams.transforming.converters, "
            f"got {type(found).__name__}"
        )
    return found


def load_domain(name: str) -> ModuleType | None:
    """The module of the domain, or None where HEADRACE_APP is empty.

    Raises:
        UsageError: there is no such module.
    """
    if not name:
        return None
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UsageError(f"HEADRACE_APP={name}: {error}; name an importable module, or nothing") from error


def stage_specs(topology: Topology, domain: ModuleType | None = None) -> list[StageSpec]:
    """All stages, the topology's, the domain's and that of their letters, in the groups that `stages` says."""
    declared = [
        *router_specs(topology),
        *transformer_specs(topology),
        *pattern_specs(topology),
        *call_specs(topology),
        *_domain_specs(topology, domain),
    ]
    letters = deadletters_spec(declared)
    return [_as_set(spec, topology) for spec in (*declared, *([letters] if letters else ()))]


def _as_set(spec: StageSpec, topology: Topology) -> StageSpec:
    settings = topology.stages.get(spec.name)
    if settings is None:
        return spec
    return replace(spec, group_protocol=settings.group_protocol, static_membership=settings.static_membership)


def _domain_specs(topology: Topology, domain: ModuleType | None) -> Iterable[StageSpec]:
    declared = getattr(domain, "stage_specs", None)
    return declared(topology) if declared is not None else ()


def choose_stages(specs: Sequence[StageSpec], names: Sequence[str]) -> list[StageSpec]:
    """The stages of these names; all where none is named.

    Raises:
        UsageError: there is no such stage, or no stage at all.
    """
    by_name = {spec.name: spec for spec in specs}
    unknown = [name for name in names if name not in by_name]
    known = ", ".join(sorted(by_name)) or "none"
    if unknown:
        raise UsageError(f"unknown stage {', '.join(unknown)}; the topology has: {known}")
    if not by_name:
        raise UsageError("the topology has no stage to run; declare a router or a transformation")
    return [by_name[name] for name in dict.fromkeys(names)] or list(specs)


def one_stage(specs: Sequence[StageSpec], name: str) -> StageSpec:
    """The stage of this name; of projections a version must be named, for each is a stage.

    Raises:
        UsageError: there is no such stage, or the name stands for several.
    """
    versions = [spec.name for spec in specs if re.fullmatch(rf"{re.escape(name)}\.v[0-9]+", spec.name)]
    if versions and all(spec.name != name for spec in specs):
        raise UsageError(f"each version of {name} is a stage of its own; name one: {', '.join(sorted(versions))}")
    return choose_stages(specs, [name])[0]


def stage_apps(world: World, specs: Sequence[StageSpec], domain: ModuleType | None) -> list[StageApp]:
    """Apps of these stages; the first one hosts the process's web server."""
    makers: dict[str, Callable[..., StageApp]] = {spec.name: _router for spec in router_specs(world.topology)}
    makers |= {spec.name: _transformer for spec in transformer_specs(world.topology)}
    others = [spec for spec in stage_specs(world.topology, domain) if spec.name != DEADLETTERS]
    makers[DEADLETTERS] = partial(_deadletters, others)
    makers |= {spec.name: _pattern for spec in pattern_specs(world.topology)}
    makers |= {spec.name: _call for spec in call_specs(world.topology)}
    return [
        makers[spec.name](spec, world, hosts_web=i == 0)
        if spec.name in makers
        else _from_domain(spec, world, domain, hosts_web=i == 0)
        for i, spec in enumerate(specs)
    ]


def _router(spec: StageSpec, world: World, *, hosts_web: bool) -> StageApp:
    return router_stage(
        spec, world.topology, world.contracts, world.open_registry, world.settings, web_enabled=hosts_web
    )


def _transformer(spec: StageSpec, world: World, *, hosts_web: bool) -> StageApp:
    return transformer_stage(
        spec, world.topology, world.conversions, world.open_registry, world.settings, web_enabled=hosts_web
    )


def _deadletters(others: Sequence[StageSpec], spec: StageSpec, world: World, *, hosts_web: bool) -> StageApp:
    return deadletters_stage(spec, others, world.topology, world.settings, web_enabled=hosts_web)


def _pattern(spec: StageSpec, world: World, *, hosts_web: bool) -> StageApp:
    return pattern_stage(
        spec, world.topology, world.contracts, world.open_registry, world.settings, web_enabled=hosts_web
    )


def _call(spec: StageSpec, world: World, *, hosts_web: bool) -> StageApp:
    return call_stage(spec, world.topology, world.contracts, world.open_registry, world.settings, web_enabled=hosts_web)


def _from_domain(spec: StageSpec, world: World, domain: ModuleType | None, *, hosts_web: bool) -> StageApp:
    if domain is None:
        raise UsageError(f"stage {spec.name} needs its domain; set HEADRACE_APP")
    app: StageApp = domain.stage_app(spec, world, web_enabled=hosts_web)
    return app
