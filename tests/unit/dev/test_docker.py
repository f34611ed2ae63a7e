from pathlib import Path

import pytest

from streams.dev.docker import engine_answers
from streams.dev.runtime import Wanted, choose_runtime
from streams.errors import NotReachable


def client(folder: Path, script: str) -> Path:
    """Put a docker client in `folder` that answers as `script` says."""
    docker = folder / "docker"
    docker.write_text(f"#!/bin/sh\n{script}\n")
    docker.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("script", "answers"),
    [("echo 28.1", True), ("echo; exit 1", False), ("exit 0", False)],
    ids=["an engine", "no engine", "an empty answer"],
)
def test_only_an_engine_that_names_its_version_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, *, answers: bool
) -> None:
    monkeypatch.setenv("PATH", str(client(tmp_path, script)))
    assert engine_answers.__wrapped__() is answers


def test_no_client_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert engine_answers.__wrapped__() is False


@pytest.mark.skipif(engine_answers(), reason="a Docker engine answers here")
def test_data_that_is_in_docker_is_not_started_elsewhere(tmp_path: Path) -> None:
    wanted = Wanted(tmp_path, heap_mb=256, leashed=True, say=lambda _line: None)
    with pytest.raises(NotReachable, match="no engine answers"):
        choose_runtime(wanted, "docker")
    assert choose_runtime(wanted, "java").kind == "java"
