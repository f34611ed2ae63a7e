"""The demo's table: it says that all is well only when all is."""

from collections import Counter
from dataclasses import replace

import pytest

from streams.commerce.demo.latency import Latency
from streams.commerce.demo.messages import DEAD_LETTERS, EVENTS, EXPRESS, STANDARD
from streams.commerce.demo.recount import KINDS, Tally
from streams.commerce.demo.report import Result, report

GOOD = Result(
    tally=Tally(
        sent=1_600,
        destinations=Counter({EXPRESS: 200, EVENTS: 200, STANDARD: 1_390, DEAD_LETTERS: 10}),
        dead_letters=Counter({("EXPIRED", "MessageExpired", "expired_ttl"): 10}),
    ),
    messages_per_s=4_321.0,
    latency=Latency(12.3, 45.6, 600),
    routes={"critical_orders": 200, "standard_orders": 1_390},
)


def text(result: Result) -> str:
    return "\n".join(report(result))


def test_a_good_run_says_so_and_shows_its_numbers() -> None:
    shown = text(GOOD)
    assert GOOD.good
    assert "exactly once" in shown
    for number in ("1,600", "1,390", "expired ttl", "MessageExpired", "4,321/s", "12.3 ms", "agrees"):
        assert number in shown


def test_no_line_is_wider_than_a_terminal() -> None:
    assert max(map(len, report(GOOD))) <= 100


@pytest.mark.parametrize("kind", KINDS)
def test_one_record_that_is_off_spoils_the_run(kind: str) -> None:
    tally = replace(GOOD.tally, off=Counter({kind: 1}), examples=[f"{kind}: message 7"])
    bad = replace(GOOD, tally=tally)
    assert not bad.good
    assert f"{kind}: message 7" in text(bad)
    assert "exactly once" not in text(bad)


@pytest.mark.parametrize("routes", [{}, {"critical_orders": 200, "standard_orders": 1_391}])
def test_a_table_that_differs_from_the_recount_spoils_the_run(routes: dict[str, int]) -> None:
    bad = replace(GOOD, routes=routes)
    assert not bad.good
    assert "differs" in text(bad)
    assert "standard_orders" in text(bad)


def test_a_worker_that_ended_badly_spoils_the_run() -> None:
    bad = replace(GOOD, complaints=["worker-1 should end with 0 on SIGTERM, but exit code 1"])
    assert not bad.good
    assert "exit code 1" in text(bad)
