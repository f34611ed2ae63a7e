"""Questions to brokers that are not there: each has an answer in the end."""

from collections.abc import Callable
from concurrent.futures import wait

from streams.config import Settings
from streams.engine.cluster import Cluster
from streams.engine.stage import TP, StageSpec


def test_a_question_is_answered_though_the_client_that_asked_was_replaced(
    settings_for: Callable[..., Settings], free_port: Callable[[], int]
) -> None:
    settings = settings_for(f"127.0.0.1:{free_port()}")
    cluster = Cluster(settings, StageSpec("orders", ("orders.inbound",), (), frozenset()), lambda _error: None)
    asked = cluster.end_offsets([TP("headrace.orders.rows.changelog", 0)])
    cluster.start_again()
    _, open_still = wait(asked.values(), timeout=30)
    assert not open_still
