import re
import subprocess
import sys
from pathlib import Path

import pytest

from streams.dev import distribution as distributions
from streams.dev.distribution import KAFKA_VERSION, Distribution
from streams.dev.java import Java
from streams.dev.registry import APICURIO_VERSION
from streams.errors import ConfigurationRefused

ROOT = Path(__file__).parents[3]


@pytest.fixture
def kafka(tmp_path: Path) -> Distribution:
    jars = tmp_path / "jars"
    jars.mkdir()
    for name in ("zstd.jar", "avro.jar", "kafka.jar"):
        (jars / name).touch()
    return Distribution(Java(Path("/java/bin/java"), "17"), jars, tmp_path / "classes.jsa", tmp_path / "log4j2.yaml")


def test_the_image_and_the_jars_are_of_one_kafka() -> None:
    pom = (ROOT / "dev/kafka/pom.xml").read_text()
    assert re.findall(r"<artifactId>kafka_2.13</artifactId>\s*<version>(.+)</version>", pom) == [KAFKA_VERSION]
    clients = (ROOT / "tests/clients/pom.xml").read_text()
    assert set(re.findall(r"<artifactId>kafka-\w+</artifactId>\s*<version>(.+)</version>", clients)) == {KAFKA_VERSION}
    assert f"image: apache/kafka:{KAFKA_VERSION}" in (ROOT / "docker-compose.yml").read_text()


def test_the_registrys_image_and_archive_are_of_one_version() -> None:
    pom = (ROOT / "dev/registry/pom.xml").read_text()
    assert re.findall(r"<artifactId>apicurio.*</artifactId>\s*<version>(.+)</version>", pom) == [APICURIO_VERSION]


def test_the_class_path_is_sorted_so_that_the_archive_stays_valid(kafka: Distribution) -> None:
    command = kafka.command("kafka.Kafka", heap_mb=256)
    names = [Path(jar).name for jar in command[command.index("-cp") + 1].split(":")]
    assert names == ["avro.jar", "kafka.jar", "zstd.jar"]
    longer = kafka.command("Mine", heap_mb=256, classes=Path("/mine"))
    assert longer[longer.index("-cp") + 1] == f"{command[command.index('-cp') + 1]}:/mine"


def test_the_archive_is_used_only_once_it_is_there(kafka: Distribution) -> None:
    flag = f"-XX:SharedArchiveFile={kafka.archive}"
    assert flag not in kafka.command("kafka.Kafka", heap_mb=256)
    kafka.archive.touch()  # what remembers that this Java makes none
    assert flag not in kafka.command("kafka.Kafka", heap_mb=256)
    kafka.archive.write_bytes(b"classes")
    assert flag in kafka.command("kafka.Kafka", heap_mb=256)
    assert "-Xmx1024m" in kafka.command("kafka.Kafka", heap_mb=1024)


def test_maven_that_fails_is_told_in_one_line() -> None:
    failing = [sys.executable, "-c", "print('[ERROR] no such host'); print('more'); raise SystemExit(1)"]
    with pytest.raises(ConfigurationRefused, match="no such host") as refused:
        distributions._run_maven(failing, {}, lambda _line: None)
    assert "\n" not in str(refused.value)


HOLD = """
import sys
from pathlib import Path
from streams.dev.distribution import _lock
with _lock(Path(sys.argv[1]), lambda line: None):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_processes_prepare_one_after_the_other(tmp_path: Path) -> None:
    said: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        def let_go_when_waited_for(line: str) -> None:
            said.append(line)
            assert holder.stdin is not None
            holder.stdin.close()

        with distributions._lock(tmp_path / "lock", let_go_when_waited_for):
            assert said == ["another process is preparing jars; waiting for it"]


def test_the_cache_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert distributions.cache_dir() == tmp_path / "headrace"
