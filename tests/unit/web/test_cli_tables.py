import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streams import cli
from streams.engine.stage import StageSpec
from streams.errors import HeadraceError
from streams.web.letter_handlers import Desk
from tests.unit.web.memory import KNOWN, NEXT, ORDERS, PARTITIONS, Cluster, workers

Run = Callable[..., Result]


@contextmanager
def serving(
    cluster: Cluster,
    roles: Mapping[str, str] | None = None,
    *,
    known: Sequence[StageSpec] = KNOWN,
    desk: Desk | None = None,
    **share: Any,
) -> Iterator[str]:
    """A worker on a thread of its own, since the command blocks."""
    started = threading.Event()
    urls: list[str] = []
    loop = asyncio.new_event_loop()
    ending = asyncio.Event()

    async def serve() -> None:
        async with workers(cluster, share or {"orders": range(PARTITIONS)}, roles=roles, known=known, desk=desk) as (
            worker,
        ):
            urls.append(worker.url)
            started.set()
            await ending.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert started.wait(10)
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join(10)
        loop.close()


def shop() -> Cluster:
    cluster = Cluster()
    for n in range(1500):
        cluster.put_by_key(ORDERS, b"ORD-%04d" % n, {"n": n})
    return cluster


def headrace(url: str, *arguments: str, **environment: str) -> Result:
    return CliRunner(env={"HEADRACE_URL": url, **environment}).invoke(cli.headrace, ["tables", *arguments])


def failure(result: Result) -> tuple[int, str]:
    assert isinstance(result.exception, HeadraceError)
    assert "\n" not in str(result.exception)
    return result.exception.exit_code, str(result.exception)


def test_tables_are_listed() -> None:
    with serving(shop()) as url:
        names = [row["name"] for row in json.loads(headrace(url, "list", "--output", "json").output)]
        assert names == ["orders.state", "router.routes"]
        assert "orders.state" in headrace(url, "list").output.splitlines()[1]


def test_a_row_is_shown() -> None:
    with serving(shop()) as url:
        row = json.loads(headrace(url, "get", "orders.state", "ORD-0007", "--output", "json").output)
        assert (row["key"], row["value"]) == ("ORD-0007", {"n": 7})
        assert "ORD-0007" in headrace(url, "get", "orders.state", "ORD-0007").output


def test_a_scan_goes_over_pages_up_to_its_limit() -> None:
    with serving(shop()) as url:
        scan = headrace(url, "scan", "orders.state", "--limit", "1200", "--output", "json")
        assert [row["value"]["n"] for row in json.loads(scan.stdout)] == list(range(1200))
        scan = headrace(url, "scan", "orders.state", "--limit", "9999", "--output", "json")
        assert len(json.loads(scan.output)) == 1500
        scan = headrace(url, "scan", "orders.state", "--prefix", "ORD-000", "--output", "json")
        assert len(json.loads(scan.output)) == 10
        assert len(headrace(url, "scan", "orders.state").stdout.splitlines()) == 101


def test_a_scan_that_stops_at_its_limit_says_that_there_are_more_rows() -> None:
    with serving(shop()) as url:
        assert "there are more rows; raise --limit (now 100)" in headrace(url, "scan", "orders.state").stderr
        assert headrace(url, "scan", "orders.state", "--limit", "1500").stderr == ""


def test_what_is_not_there_exits_1() -> None:
    with serving(shop()) as url:
        assert failure(headrace(url, "get", "orders.state", "ORD-9999")) == (1, "orders.state has no row of this key")
        code, message = failure(headrace(url, "scan", "nothing.here"))
        assert code == 1
        assert message == "the topology has no table 'nothing.here'; `headrace tables list` shows all"


def test_a_row_and_a_scan_wait_for_a_position() -> None:
    with serving(shop()) as url:
        passed = f"orders.commands/0={NEXT - 1}"
        for command in (("get", "orders.state", "ORD-0007"), ("scan", "orders.state", "--limit", "1200")):
            assert headrace(url, *command, "--min-position", passed).exit_code == 0
        code, message = failure(
            headrace(url, "get", "orders.state", "ORD-0007", "--min-position", "orders.inbound/0=1")
        )
        assert code == 1
        assert "expected a source of orders (orders.commands, orders.replayed)" in message
        code, message = failure(headrace(url, "scan", "orders.state", "--min-position", "orders.commands=1"))
        assert code == 2
        assert "topic/partition=offset" in message


def test_a_position_that_is_not_passed_exits_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.web.passing.WAIT_SECONDS", 0.5)
    with serving(shop()) as url:
        code, message = failure(
            headrace(url, "get", "orders.state", "ORD-0007", "--min-position", "orders.commands/0=99")
        )
        assert code == 3
        assert "has not passed orders.commands/0=99 yet; try again" in message


def test_nobody_there_exits_3() -> None:
    code, message = failure(headrace("http://127.0.0.1:1", "list"))
    assert code == 3
    assert "HEADRACE_URL" in message


def test_a_worker_that_cannot_answer_now_exits_3() -> None:
    with serving(shop(), orders=[0, 1]) as url:
        assert failure(headrace(url, "scan", "orders.state"))[0] == 3


@pytest.mark.parametrize("url", ["ftp://x", "localhost:6066", "http://x:99999", "http://"])
def test_a_malformed_url_exits_2(url: str) -> None:
    assert failure(headrace(url, "list"))[0] == 2


def test_the_token_is_sent() -> None:
    with serving(shop(), {"view-me": "viewer"}) as url:
        code, message = failure(headrace(url, "list"))
        assert code == 1
        assert "HEADRACE_TOKEN" in message
        assert headrace(url, "list", HEADRACE_TOKEN="view-me").exit_code == 0  # noqa: S106 made up
        assert headrace(url, "list", HEADRACE_WEB_TOKENS="view-me:viewer").exit_code == 0
