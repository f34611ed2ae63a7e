"""The parent of several workers tells who ended by itself, and ends the others."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from streams.dev.ports import free_ports

ROOT = Path(__file__).parents[3]


@pytest.fixture
def port_whose_next_is_taken() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", free_ports(1)[0]))) as taken:
        yield taken.getsockname()[1] - 1


def test_only_the_process_that_ended_by_itself_is_blamed(tmp_path: Path, port_whose_next_is_taken: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "worker", "--processes", "2"],
        env={
            **os.environ,
            "HEADRACE_TOPOLOGY": str(ROOT / "topology.yaml"),
            "HEADRACE_SCHEMAS": str(ROOT / "schemas"),
            "HEADRACE_STATE_DIR": str(tmp_path),
            "HEADRACE_WEB_PORT": str(port_whose_next_is_taken),
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",  # nobody there: the other one waits
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    said = done.stderr.splitlines()
    (blamed,) = (number for number, line in enumerate(said) if "ended by itself" in line)
    assert "exit_code=1" in said[blamed]
    assert "is taken; set HEADRACE_WEB_PORT" in "\n".join(said[:blamed])
    assert "ending the others" in said[blamed + 1]
    assert "failed" not in "\n".join(said[blamed:])
