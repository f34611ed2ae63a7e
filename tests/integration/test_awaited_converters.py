"""A transformer whose converter is awaited: slow for some keys, failing for a while for others; on a real broker."""

import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from streams.config import Settings
from streams.dev.readiness import await_condition
from streams.engine.registries import open_registry
from streams.engine.topic_reader import read_topics
from streams.messages.codec import Codec
from streams.messages.contracts import load_contracts
from streams.topology.names import changelog_topic, dead_letter_topic

ROOT = Path(__file__).parents[2]
HEADRACE = [sys.executable, "-m", "streams.cli"]
KEYS, EACH, SLOW, FAILING = 16, 25, {0, 1}, {2, 3}
CONVERTERS = """
import asyncio
from collections import Counter

from streams.errors import TransientError
from streams.transforming.converters import Converters

converters = Converters()
tries, running = Counter(), set()


@converters.register("question", "answer")
async def to_answer(question):
    name = question["key"], question["number"]
    running.add(name)
    try:
        beside = len(running)
        await asyncio.sleep(question["seconds"])
        tries[name] += 1
        if tries[name] <= question["failures"]:
            raise TransientError("the other side is busy")
        return {"key": question["key"], "number": question["number"], "attempts": tries[name], "beside": beside}
    finally:
        running.remove(name)
"""


def schema(name: str, **fields: str) -> str:
    made = [{"name": field, "type": kind} for field, kind in fields.items()]
    return json.dumps({"type": "record", "name": name, "namespace": "quiz", "fields": made})


@dataclass
class Quiz:
    """Topics, contracts, and a converter of this test's own."""

    settings: Settings
    environment: dict[str, str]
    stage: str
    questions: str
    answers: str

    def headrace(self, *arguments: str, stdin: str = "") -> None:
        done = subprocess.run(
            [*HEADRACE, *arguments], env=self.environment, cwd=ROOT, input=stdin, capture_output=True, text=True,
            timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def read(self, topic: str) -> list[Message]:
        found: list[Message] = []
        read_topics(self.settings, [topic], found.extend)
        return found

    def answered(self) -> dict[str, list[dict[str, Any]]]:
        """Answers by key, in order."""
        registry = open_registry(self.settings)
        codec = Codec(load_contracts(self.settings.schemas), registry.all())
        registry.close()
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for message in self.read(self.answers):
            _, answer = codec.decode(message.value() or b"")
            assert message.key() == answer["key"].encode()
            found[answer["key"]].append(answer)
        return found


@pytest.fixture
def quiz(
    tmp_path: Path,
    kafka: Any,
    settings_for: Callable[..., Settings],
    environment_of: Callable[[Settings], dict[str, str]],
    unique_name: Callable[[str], str],
) -> Quiz:
    stage, questions, answers = map(unique_name, ("quiz", "questions", "answers"))
    (tmp_path / "schemas").mkdir()
    asked = schema("question", key="string", number="int", seconds="double", failures="int")
    (tmp_path / "schemas" / "question.avsc").write_text(asked)
    answer = schema("answer", key="string", number="int", attempts="int", beside="int")
    (tmp_path / "schemas" / "answer.avsc").write_text(answer)
    (tmp_path / "quizmaster.py").write_text(CONVERTERS)
    (tmp_path / "topology.yaml").write_text(
        f"""
version: 1
topics:
  {questions}: {{partitions: 2, contracts: [question]}}
  {answers}: {{partitions: 2, contracts: [answer]}}
contracts: {{question: {{key: payload.key}}, answer: {{key: payload.key}}}}
transformations: [{{source: {questions}, stage: {stage}, to: answer, destination: {answers}}}]
failures: {{stages: {{{stage}: {{retries: 3, backoff: {{initial: 300ms, factor: 1, max: 300ms, jitter: 0}}}}}}}}
"""
    )
    places = {"HEADRACE_TOPOLOGY": tmp_path / "topology.yaml", "HEADRACE_SCHEMAS": tmp_path / "schemas"}
    settings = settings_for(kafka.bootstrap_servers, HEADRACE_APP="quizmaster", **places)
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    made = Quiz(settings, {**environment_of(settings), "PYTHONPATH": path}, stage, questions, answers)
    made.headrace("topology", "apply")
    return made


@pytest.fixture
def worker(quiz: Quiz, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with (tmp_path / "worker.log").open("wb") as log:
        command = [*HEADRACE, "worker", quiz.stage]
        process = subprocess.Popen(command, env=quiz.environment, cwd=ROOT, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def question(key: int, number: int) -> dict[str, Any]:
    """The slow take 50 ms each; of the failing keys every fifth message fails twice."""
    failures = 2 if key in FAILING and number % 5 == 0 else 0
    return {"key": f"K{key}", "number": number, "seconds": 0.05 if key in SLOW else 0.005, "failures": failures}


def test_slow_and_failing_keys_lose_no_order_and_no_message_and_others_are_converted_beside_them(
    quiz: Quiz, worker: "subprocess.Popen[bytes]"
) -> None:
    lines = "\n".join(json.dumps(question(key, number)) for number in range(EACH) for key in range(KEYS))
    quiz.headrace("send", "question", "--topic", quiz.questions, stdin=lines)
    expected = KEYS * EACH
    await_condition(lambda: len(quiz.read(quiz.answers)) >= expected, 60, "an answer to each question")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(40) == 0

    answered = quiz.answered()
    assert {key: [each["number"] for each in of_key] for key, of_key in answered.items()} == {
        f"K{key}": list(range(EACH)) for key in range(KEYS)
    }
    for key in range(KEYS):
        tries = [question(key, number)["failures"] + 1 for number in range(EACH)]
        assert [each["attempts"] for each in answered[f"K{key}"]] == tries, "each failure cost one attempt, no more"
    assert max(each["beside"] for of_key in answered.values() for each in of_key) > KEYS // 4
    assert not quiz.read(dead_letter_topic(quiz.stage))
    assert quiz.read(changelog_topic(quiz.stage, "parked")), "what failed was parked"
