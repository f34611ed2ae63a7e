"""Our small Java programs (tests/clients/java): compiled once a run, started as a Java shop would start its own."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streams.dev.distribution import Distribution
from tests.clients.programs import HEAP_MB, HERE, run_bounded

SOURCES = HERE / "java"
COMPILER = "org.eclipse.jdt.internal.compiler.batch.Main"  # ecj: a runtime without javac compiles too
OLDEST = "-17"


@dataclass(frozen=True)
class JavaPrograms:
    """The compiled programs."""

    distribution: Distribution
    classes: Path

    def run(self, program: str, *arguments: str) -> list[dict[str, Any]]:
        """Run one to its end, and return the objects that it printed, one a line."""
        answer = run_bounded(
            self.distribution.command(program, *arguments, heap_mb=HEAP_MB, classes=self.classes),
        )
        assert answer.returncode == 0, answer.stderr
        return [json.loads(line) for line in answer.stdout.splitlines()]


def compile_programs(distribution: Distribution, folder: Path) -> JavaPrograms:
    """Compile all of `SOURCES` into `folder`."""
    class_path = os.pathsep.join(map(str, distribution.jars.glob("*.jar")))
    sources = [str(path) for path in sorted(SOURCES.glob("*.java"))]
    arguments = (OLDEST, "-d", str(folder), "-cp", class_path, *sources)
    answer = run_bounded(distribution.command(COMPILER, *arguments, heap_mb=HEAP_MB))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return JavaPrograms(distribution, folder)
