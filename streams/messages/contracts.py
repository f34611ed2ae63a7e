"""The contracts: every record in `schemas/`, by name. Reading files is all the I/O here; the rules are in avsc.py."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import fastavro

from streams.errors import FindingsFound, UsageError
from streams.messages.avsc import (
    Definition,
    Schema,
    SchemaMistake,
    check_depth,
    definitions,
    identity,
    named_types,
    normalise,
)
from streams.messages.defaults import check_defaults
from streams.messages.paths import EVERY, parse_path
from streams.messages.tagged import check_tags


def parse(schema: Schema) -> Schema:
    """`schema`, normalised, as fastavro wants it.

    Raises:
        SchemaMistake: fastavro refuses it.
    """
    try:
        return fastavro.parse_schema(schema)
    except (fastavro.schema.SchemaParseException, ValueError, LookupError, TypeError, RecursionError) as error:
        raise SchemaMistake(f"invalid Avro schema: {' '.join(str(error).split()) or type(error).__name__}") from None


@dataclass(frozen=True)
class Contract:
    """One type of message: an Avro record with absolute names that needs no other file."""

    full_name: str
    schema: dict[str, Any] = field(hash=False)
    path: Path | None
    parsed: Schema = field(hash=False, compare=False, repr=False)

    @property
    def name(self) -> str:
        """Short name: what `ce_type` says."""
        return self.full_name.rpartition(".")[2]

    @property
    def subject(self) -> str:
        """Subject in the registry (RecordNameStrategy)."""
        return self.full_name

    @cached_property
    def identity(self) -> str:
        """Equal for two contracts exactly when their schemas are the same."""
        return identity(self.schema)


def contract_from(schema: Schema, path: Path | None = None, others: dict[str, Definition] | None = None) -> Contract:
    """The contract that `schema` (parsed JSON) makes, borrowing named types from `others`.

    Raises:
        SchemaMistake: it breaks a rule.
    """
    whole = normalise(schema, others)
    check_defaults(whole)
    check_tags(whole)
    return Contract(whole["name"], whole, path, parse(whole))


class Contracts:
    """All contracts, found by full name, or by short name where only one has it."""

    def __init__(self, contracts: list[Contract]) -> None:
        self._by_full_name = {contract.full_name: contract for contract in contracts}
        self._by_name: dict[str, list[Contract]] = {}
        for contract in contracts:
            self._by_name.setdefault(contract.name, []).append(contract)

    def __contains__(self, name: object) -> bool:
        return name in self._by_full_name or len(self._by_name.get(str(name), ())) == 1

    def __getitem__(self, name: str) -> Contract:
        """The contract of that name.

        Raises:
            UsageError: there is none, or several have this short name.
        """
        if name in self._by_full_name:
            return self._by_full_name[name]
        found = self._by_name.get(name, [])
        if len(found) > 1:
            raise UsageError(f"contract `{name}` is ambiguous; say {' or '.join(sorted(c.full_name for c in found))}")
        if not found:
            known = ", ".join(sorted(self._by_name)) or "none"
            raise UsageError(f"unknown contract `{name}`; known: {known} (folder: --schemas or HEADRACE_SCHEMAS)")
        return found[0]

    def __iter__(self) -> Iterator[Contract]:
        return iter(sorted(self._by_full_name.values(), key=lambda contract: contract.full_name))

    @property
    def names(self) -> frozenset[str]:
        """Every name that finds a contract: all full names, and short ones that are not ambiguous."""
        return frozenset(name for name in (*self._by_full_name, *self._by_name) if name in self)

    def __len__(self) -> int:
        return len(self._by_full_name)

    def field_type(self, contract: str | Contract, path: str) -> Schema | None:
        """Schema of what `path` (without `payload.`) leads to, or None where it leads nowhere.

        On the way null branches of unions are passed over; of several records the first that has the field counts.
        The result may itself be a union.
        """
        whole = contract if isinstance(contract, Contract) else self[contract]
        types = named_types(whole.schema)
        found: list[Schema] = [whole.schema]
        for step in parse_path(path):
            found = [below for schema in found for below in _below(schema, step, types)]
        if not found:
            return None
        return types.get(found[0], found[0]) if isinstance(found[0], str) else found[0]


def _below(schema: Schema, step: object, types: dict[str, Any]) -> list[Schema]:
    if isinstance(schema, str):
        schema = types.get(schema, schema)
    if isinstance(schema, list):
        return [below for branch in schema for below in _below(branch, step, types)]
    if not isinstance(schema, dict):
        return []
    if isinstance(step, int) or step is EVERY:
        return [schema["items"]] if schema["type"] == "array" else []
    if schema["type"] == "map":
        return [schema["values"]]
    return [each["type"] for each in schema.get("fields", ()) if each["name"] == step]


def load_contracts(folder: Path) -> Contracts:
    """All `*.avsc` below `folder`; a file may refer to the named types of another.

    Raises:
        FindingsFound: with every mistake, one line each, beginning with the file.
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"no folder of contracts at {folder}; set --schemas or HEADRACE_SCHEMAS")
    mistakes: list[str] = []
    texts: dict[Path, Schema] = {}
    for path in sorted(folder.rglob("*.avsc")):
        try:
            texts[path] = _read(path)
        except SchemaMistake as mistake:
            mistakes.append(str(mistake))
    shared = _shared_types(texts)
    contracts: dict[str, Contract] = {}
    for path, schema in texts.items():
        try:
            contract = contract_from(schema, path, shared)
        except SchemaMistake as mistake:
            mistakes.append(f"{path}: {mistake}")
            continue
        first = contracts.setdefault(contract.full_name, contract)
        if first is not contract:
            mistakes.append(
                f"{path}: contract `{contract.full_name}` is also defined in {first.path}; a name has one contract"
            )
    if mistakes:
        raise FindingsFound("\n".join(mistakes))
    return Contracts(list(contracts.values()))


def _read(path: Path) -> Schema:
    try:
        schema: Schema = json.loads(path.read_bytes().decode())
        check_depth(schema)
    except SchemaMistake as mistake:
        raise SchemaMistake(f"{path}: {mistake}") from None
    except json.JSONDecodeError as error:
        raise SchemaMistake(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    except UnicodeDecodeError as error:
        raise SchemaMistake(f"{path}: not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise SchemaMistake(f"{path}: nested too deeply to be a schema") from None
    except OSError as error:
        raise SchemaMistake(f"{path}: cannot be read: {error.strerror}") from None
    return schema


def _shared_types(texts: dict[Path, Schema]) -> dict[str, Definition]:
    """Named types that files may borrow: a contract's own definition goes before a copy nested in another's."""
    shared: dict[str, Definition] = {}
    for path, schema in texts.items():
        for position, (name, found) in enumerate(definitions(schema, origin=str(path))):
            if position == 0:
                shared[name] = found
            else:
                shared.setdefault(name, found)
    return shared
