"""Programs that are not ours, run as their users run them: Kafka's console tools and our small Java programs.

Jars come by Maven once into the user's cache. Each of Kafka's tools becomes a script of the name that it has in
Kafka's distribution, in a folder for PATH: so documented commands run word for word.
"""

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streams.dev.distribution import KAFKA_VERSION, Distribution, Recipe, Say, prepare

HERE = Path(__file__).parent
HEAP_MB = 128
LONGEST_S = 90.0  # for any one call: a start takes 0.5 s, most answer in 1 s, a busy machine is slow
CLOSED_PORT = "127.0.0.1:1"
TOOLS = {
    "kafka-broker-api-versions.sh": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-console-consumer.sh": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer.sh": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-get-offsets.sh": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-groups.sh": "org.apache.kafka.tools.GroupsCommand",
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-transactions.sh": "org.apache.kafka.tools.TransactionsCommand",
}

Answer = subprocess.CompletedProcess[str]


def run_bounded(
    command: list[str], *, stdin: str = "", environment: Mapping[str, str] | None = None, timeout_s: float = LONGEST_S
) -> Answer:
    """Run a command to its end, however it ends; when time is up it is killed with all that it started.

    Raises:
        subprocess.TimeoutExpired: it did not end in `timeout_s`.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",  # values may be printed that are no text
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(stdin, timeout_s)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


@dataclass(frozen=True)
class KafkaTools:
    """Kafka's console tools.

    Args:
        distribution: their jars and the Java that runs them.
        bin: a folder with a script for each; put it on PATH to run documented commands.
    """

    distribution: Distribution
    bin: Path

    def __call__(self, tool: str, *arguments: str, stdin: str = "", timeout_s: float = LONGEST_S) -> Answer:
        """Run one of `TOOLS`; its exit code, output and errors are for the caller to judge."""
        return run_bounded([str(self.bin / tool), *arguments], stdin=stdin, timeout_s=timeout_s)

    def done(self, tool: str, *arguments: str, stdin: str = "") -> str:
        """Run one that has to succeed, and return what it printed."""
        answer = self(tool, *arguments, stdin=stdin)
        assert answer.returncode == 0, f"{tool} {shlex.join(arguments)}: {answer.stdout}{answer.stderr}"
        return answer.stdout


def client_programs(say: Say) -> Distribution:
    """Fetch the jars of tests/clients/pom.xml, once.

    Raises:
        ConfigurationRefused: Java or Maven is missing, or Maven could not fetch them.
    """
    contents = "the jars of Kafka's console tools, Apache Avro and ecj (53 files, 40 MB)"
    recipe = Recipe(f"kafka-clients-{KAFKA_VERSION}", HERE / "pom.xml", HERE / "log4j2.properties", contents)
    return prepare(recipe, _train, say)


def _train(distribution: Distribution, options: tuple[str, ...]) -> None:
    """Load what a consumer loads; nobody answers, and it gives up."""
    given = ("--bootstrap-server", CLOSED_PORT, "--topic", "none", "--timeout-ms", "1000")
    run_bounded(distribution.command(TOOLS["kafka-console-consumer.sh"], *given, heap_mb=HEAP_MB, options=options))


def install_tools(distribution: Distribution, folder: Path) -> KafkaTools:
    """Write a script for each of Kafka's tools into `folder`."""
    for name, main_class in TOOLS.items():
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {shlex.join(distribution.command(main_class, heap_mb=HEAP_MB))} "$@"\n')
        script.chmod(0o755)
    return KafkaTools(distribution, folder)
