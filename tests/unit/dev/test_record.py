import json
from dataclasses import replace
from pathlib import Path

import pytest

from streams.config import Settings, dev_broker_record
from streams.dev.record import DevRecord
from streams.errors import NotReachable


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


RECORD = DevRecord("127.0.0.1:15001", "AAAAAAAAAAAAAAAAAAAAAA", (4711,), Path("/data"))


def test_every_command_finds_the_recorded_broker() -> None:
    RECORD.save()
    assert Settings().bootstrap_servers() == "127.0.0.1:15001"
    assert DevRecord.load() == RECORD


def test_a_forgotten_broker_is_not_found() -> None:
    RECORD.save()
    DevRecord.remove()
    DevRecord.remove()
    assert DevRecord.load() is None
    with pytest.raises(NotReachable):
        Settings().bootstrap_servers()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pids": 1}'])
def test_a_damaged_record_counts_as_none(content: str) -> None:
    dev_broker_record().parent.mkdir(parents=True)
    dev_broker_record().write_text(content)
    assert DevRecord.load() is None


def test_the_record_replaces_the_one_before_and_leaves_nothing_beside_it() -> None:
    RECORD.save()
    RECORD.save()
    assert [path.name for path in dev_broker_record().parent.iterdir()] == ["broker.json"]
    assert set(json.loads(dev_broker_record().read_text())) == {
        "bootstrap_servers",
        "cluster_id",
        "pids",
        "folder",
        "registry_url",
    }


def test_the_registry_of_the_recorded_broker_is_used_where_none_is_named() -> None:
    replace(RECORD, registry_url="http://127.0.0.1:15002/apis").save()
    assert Settings().registry_url() == "http://127.0.0.1:15002/apis"
    assert Settings(KAFKA_BOOTSTRAP_SERVERS=RECORD.bootstrap_servers).registry_url() == "http://127.0.0.1:15002/apis"
    assert Settings(SCHEMA_REGISTRY_URL="http://theirs").registry_url() == "http://theirs"


def test_a_broker_of_someone_else_has_not_our_registry() -> None:
    replace(RECORD, registry_url="http://127.0.0.1:15002/apis").save()
    assert Settings(KAFKA_BOOTSTRAP_SERVERS="theirs:9092").registry_url() == ""
    RECORD.save()
    assert Settings().registry_url() == ""
