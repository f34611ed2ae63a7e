"""The procedures of docs/operations.md, command by command as they are written there, with real workers."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.dev.cluster import KafkaCluster
from streams.dev.ports import free_ports
from tests.clients.documented import commands, section

ROOT = Path(__file__).parents[2]
OPERATIONS = ROOT / "docs" / "operations.md"
PORTS_IN_THE_DOCS = ("6066", "6067", "6068", "6069")
LIMIT_S = 240


@pytest.fixture
def run(kafka_cluster: Callable[..., KafkaCluster], tmp_path: Path) -> Callable[..., list[list[str]]]:
    """Run the commands of sections, in a folder with the example's files; what each `owners` said."""
    shutil.copy(ROOT / "topology.yaml", tmp_path)
    shutil.copytree(ROOT / "schemas", tmp_path / "schemas")
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": kafka_cluster().bootstrap_servers,
        "HEADRACE_STATE_DIR": str(tmp_path / "state"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "",
    }

    def run(*sections: str) -> list[list[str]]:
        written = [each.command for heading in sections for each in commands(section(OPERATIONS, heading))]
        marked = [f"echo @; {each}" if each.startswith("owners ") else each for each in written]
        script = "\n".join(["set -eu", "trap 'kill -9 $(jobs -p) 2>/dev/null || true' EXIT", *marked])
        for port, free in zip(PORTS_IN_THE_DOCS, free_ports(len(PORTS_IN_THE_DOCS)), strict=True):
            script = script.replace(port, str(free))
        bounded = ["timeout", "-s", "KILL", str(LIMIT_S), "bash", "-c", script]  # kills the workers too
        done = subprocess.run(bounded, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.stdout, done.stderr, *(log.read_text() for log in tmp_path.glob("w?.log")))
        return [answer.split("\n")[1:-1] for answer in done.stdout.split("@")[1:]]

    return run


def shares_in(answer: list[str]) -> dict[str, set[str]]:
    """Worker -> its partitions."""
    return {line.partition(":")[0]: set(line.partition(":")[2].split()) for line in answer if ": " in line}


SETUP = "Scaling, rolling restarts, failover"


@pytest.mark.soak
def test_a_rolling_restart_as_documented_moves_nothing(run: Callable[..., list[list[str]]]) -> None:
    before, after = map(shares_in, run(SETUP, "Rolling restart"))
    assert before == after
    assert before.keys() == after.keys()
    assert sorted(partition for share in before.values() for partition in share) == ["0", "1", "2", "3"]


@pytest.mark.soak
def test_scaling_out_and_in_as_documented_moves_one_partition_and_back(run: Callable[..., list[list[str]]]) -> None:
    four, three = map(shares_in, run(SETUP, "Scaling out and in"))
    assert sorted(map(len, four.values())) == [1, 1, 1, 1]
    assert three.keys() == {"w1", "w2", "w3"}
    assert all(four[worker] <= three[worker] for worker in three)


@pytest.mark.soak
def test_failover_as_documented_needs_nobody(run: Callable[..., list[list[str]]]) -> None:
    same, without = map(shares_in, run(SETUP, "Failover"))
    assert same.keys() == {"w1", "w2", "w3"}
    assert without.keys() == {"w1", "w2"}
    assert all(same[worker] <= without[worker] for worker in without)
    assert sorted(partition for share in without.values() for partition in share) == ["0", "1", "2", "3"]
