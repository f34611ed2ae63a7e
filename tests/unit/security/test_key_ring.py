"""A key ring is taken whole and sound, or refused in one line that quotes no key."""

import json
from pathlib import Path
from typing import Any

import pytest

from streams.config import Settings
from streams.errors import UsageError
from streams.security.key_ring import load_key_ring, parse_key_ring, required_key_ring
from tests.unit.security.memory import RING, encoded

KEY = encoded(bytes(range(32)))
SOUND = {"current": "b", "keys": {"a": KEY, "b": encoded(b"k" * 32)}}


def settings(**given: Any) -> Settings:
    return Settings(**{"HEADRACE_KEYRING": "", "HEADRACE_KEYRING_JSON": "", **given})


@pytest.fixture
def ring_file(tmp_path: Path) -> Path:
    path = tmp_path / "ring.json"
    path.write_text(json.dumps(SOUND))
    path.chmod(0o600)
    return path


def test_a_ring_from_a_file(ring_file: Path) -> None:
    ring = load_key_ring(settings(HEADRACE_KEYRING=ring_file))
    assert ring is not None
    assert (ring.current, ring.keys["a"]) == ("b", bytes(range(32)))


def test_a_ring_from_the_environment() -> None:
    ring = load_key_ring(settings(HEADRACE_KEYRING_JSON=json.dumps(SOUND)))
    assert ring is not None
    assert ring.current == "b"


def test_no_ring_is_none_unless_it_is_needed() -> None:
    assert load_key_ring(settings()) is None
    with pytest.raises(UsageError, match=r"^sending needs a key ring.*set HEADRACE_KEYRING"):
        required_key_ring(settings(), "sending")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o601])
def test_a_file_that_others_may_touch_is_refused(ring_file: Path, mode: int) -> None:
    ring_file.chmod(mode)
    with pytest.raises(UsageError, match=f"0600.*got {mode:04o}.*chmod 600"):
        load_key_ring(settings(HEADRACE_KEYRING=ring_file))


def test_a_file_that_is_missing_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ring\.json: cannot be read: No such file"):
        load_key_ring(settings(HEADRACE_KEYRING=tmp_path / "ring.json"))
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        load_key_ring(settings(HEADRACE_KEYRING=tmp_path))


def test_two_rings_at_once_are_refused(ring_file: Path) -> None:
    with pytest.raises(UsageError, match="both set"):
        load_key_ring(settings(HEADRACE_KEYRING=ring_file, HEADRACE_KEYRING_JSON=json.dumps(SOUND)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "got other JSON"),
        (json.dumps({**SOUND, "more": 1}), "got other JSON"),
        (json.dumps({"current": "a", "keys": [KEY]}), "got other JSON"),
        (json.dumps({"current": "c", "keys": {"a": KEY}}), "`current` is no id of its keys \\(there: a\\)"),
        (json.dumps({"current": ["a"], "keys": {"a": KEY}}), "`current` is no id"),
        (json.dumps({"current": "a", "keys": {}}), "there: none"),
        (json.dumps({"current": "a,b", "keys": {"a,b": KEY}}), "key id 'a,b': expected"),
        (json.dumps({"current": "a", "keys": {"a": "!" + KEY}}), "key a: not base64"),
        (json.dumps({"current": "a", "keys": {"a": 5}}), "key a: expected text"),
        (json.dumps({"current": "a", "keys": {"a": encoded(b"k" * 16)}}), "key a: expected 32 bytes in base64, got 16"),
        (json.dumps({"current": "a", "keys": {"a": encoded(b"k" * 33)}}), "got 33"),
        ('{"current": "a", "keys": {"a": "x", "a": "y"}}', "'a' stands there twice"),
    ],
)
def test_a_wrong_ring_is_refused_in_one_line_without_its_keys(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        parse_key_ring(text, "HEADRACE_KEYRING=x")
    assert "\n" not in str(refused.value)
    assert KEY not in str(refused.value)
    assert str(refused.value).startswith("HEADRACE_KEYRING=x: ")


def test_keys_are_not_shown() -> None:
    assert repr(bytes(range(32)))[2:20] not in repr(RING)
    given = settings(HEADRACE_KEYRING_JSON=json.dumps(SOUND))
    assert KEY not in repr(given)
    assert KEY not in given.model_dump_json()
