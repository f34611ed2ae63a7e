"""topology.yaml -> Topology, or every mistake in it at once, one line each."""

import os
from collections.abc import Mapping
from pathlib import Path

from streams.errors import UsageError
from streams.topology.class_decoding import decode_class
from streams.topology.decoding import Decoding
from streams.topology.findings import findings_found
from streams.topology.model import Topology
from streams.topology.tree import LARGEST_FILE_BYTES, Unreadable, parse_tree, position_after


def load_topology(path: Path) -> Topology:
    """Read and check the file; `${NAME:-default}` is filled from the environment.

    Raises:
        UsageError: the file cannot be read.
        FindingsFound: it has mistakes; all of them, one a line.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path}: {reason}; expected a topology file; name it with --topology") from None
    return parse_topology(content, path, os.environ)


def parse_topology(content: bytes | str, path: Path | str, environment: Mapping[str, str]) -> Topology:
    """Topology from the text of a file; `path` only names it in findings.

    Raises:
        FindingsFound: as load_topology.
    """
    run = Decoding(environment)
    try:
        tree = parse_tree(content if isinstance(content, str) else _text(content))
    except Unreadable as error:
        raise findings_found(path, [error.finding]) from None
    topology = decode_class(Topology, tree, run)
    if isinstance(topology, Topology) and not run.findings:
        return topology
    raise findings_found(path, run.findings)


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        position = position_after(content[: error.start].decode("utf-8-sig", "replace"))
        raise Unreadable(*position, "not UTF-8; a topology is; save the file as UTF-8") from None
