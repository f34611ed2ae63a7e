"""docker-compose.yml: a broker that is waited for, and one worker service a stage of topology.yaml."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return services


def test_every_stage_has_a_worker_of_its_own(services: dict[str, Any]) -> None:
    topology = yaml.safe_load((ROOT / "topology.yaml").read_text())
    stages = {"deadletters"} | {router.get("stage", "router") for router in topology["routers"]}
    stages |= {each.get("stage", "transformer") for each in topology["transformations"]}
    stages |= {f"patterns.{each['name']}" for each in topology["patterns"]}
    workers = {name: service for name, service in services.items() if name.startswith("worker-")}
    assert {f"worker-{stage}" for stage in stages} == set(workers)
    assert {tuple(worker["command"]) for worker in workers.values()} == {("worker", stage) for stage in stages}


def test_workers_wait_for_the_topology_and_the_topology_for_kafka(services: dict[str, Any]) -> None:
    assert "healthcheck" in services["kafka"]
    assert services["topology"]["command"] == ["topology", "apply"]
    assert services["topology"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    for name, service in services.items():
        if name.startswith("worker-"):
            assert service["depends_on"] == {"topology": {"condition": "service_completed_successfully"}}


def test_the_image_is_built_from_files_that_exist(services: dict[str, Any]) -> None:
    build = services["worker-router"]["build"]
    dockerfile = (ROOT / build["context"] / build["dockerfile"]).read_text()
    copied = [line.split()[1:-1] for line in dockerfile.splitlines() if line.startswith("COPY")]
    assert copied
    allowed = (ROOT / ".dockerignore").read_text().split()
    for source in (path for paths in copied for path in paths):
        assert (ROOT / source).exists(), source
        assert f"!{source}" in allowed, source


def test_compose_accepts_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("there is no `docker compose` here")
    config = [docker, "compose", "--file", str(ROOT / "docker-compose.yml"), "config", "--quiet"]
    done = subprocess.run(config, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
