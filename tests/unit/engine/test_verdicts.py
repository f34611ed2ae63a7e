"""What follows from a failed cycle, and that everything that is repeated is repeated a bounded number of times."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.engine import clients, verdicts
from streams.engine.cycle import AgentFailed
from streams.engine.producer import TransactionAborted
from streams.engine.stage import TP, StageSpec
from streams.engine.verdicts import Verdicts
from streams.errors import ConfigurationRefused

AT = TP("orders", 1)
TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
NOBODY: frozenset[str] = frozenset()


@pytest.fixture
def judge() -> Verdicts:
    return Verdicts(StageSpec("counting", ("orders",)), "w1")


def agent_failed(reason: str = "agent") -> AgentFailed:
    return AgentFailed(reason, "agent route raised at orders/1@5..9", ValueError("bug"))


def aborted(reason: str = "error", cause: KafkaError | None = None) -> TransactionAborted:
    error = TransactionAborted(reason, "it did not commit", outcome_known=True)
    error.__cause__ = KafkaException(cause) if cause is not None else None
    return error


def test_an_agent_that_goes_on_raising_stops_the_worker_and_is_named(judge: Verdicts) -> None:
    for _ in range(verdicts.AGENT_ATTEMPTS - 1):
        judge.judge(agent_failed(), "agent", {}, NOBODY)
    with pytest.raises(ConfigurationRefused, match=r"orders/1@5\.\.9.*ValueError\('bug'\)"):
        judge.judge(agent_failed(), "agent", {}, NOBODY)


def test_an_agent_that_recovers_is_forgiven(judge: Verdicts) -> None:
    for _ in range(verdicts.AGENT_ATTEMPTS * 3):
        judge.judge(agent_failed(), "agent", {}, NOBODY)
        assert judge.trying_again == ""  # one repetition may mend it
        judge.judge(agent_failed(), "agent", {}, NOBODY)
        assert judge.trying_again.startswith("agent: ")
        judge.committed({AT: 10})
        assert judge.trying_again == ""


def test_timeouts_in_a_row_stop_the_worker(judge: Verdicts) -> None:
    for _ in range(verdicts.TIMEOUTS_IN_A_ROW - 1):
        judge.judge(agent_failed("timeout"), "timeout", {}, NOBODY)
    with pytest.raises(ConfigurationRefused, match=f"after {verdicts.TIMEOUTS_IN_A_ROW} attempts"):
        judge.judge(agent_failed("timeout"), "timeout", {}, NOBODY)


def test_after_a_timeout_fewer_records_are_taken_and_after_commits_more_again(judge: Verdicts) -> None:
    sizes = [judge.poll_records]
    for _ in range(verdicts.TIMEOUTS_IN_A_ROW - 1):
        judge.judge(agent_failed("timeout"), "timeout", {}, NOBODY)
        sizes.append(judge.poll_records)
    assert sizes == [verdicts.POLL_RECORDS, verdicts.POLL_RECORDS // 8, verdicts.POLL_RECORDS // 64]
    for _ in range(20):
        before = judge.poll_records
        judge.committed({})
        assert judge.poll_records == min(before * 2, verdicts.POLL_RECORDS)
    assert judge.poll_records == verdicts.POLL_RECORDS


def test_at_least_one_record_is_taken(judge: Verdicts) -> None:
    for _ in range(10):
        judge.judge(agent_failed("timeout"), "timeout", {}, NOBODY)
        judge._failures.clear()  # as a conviction does, without growing again
    assert judge.poll_records == 1


def test_a_second_fencing_without_a_commit_stops_the_worker(judge: Verdicts) -> None:
    judge.judge(aborted("fenced"), "fenced", {}, NOBODY)
    with pytest.raises(ConfigurationRefused, match="HEADRACE_INSTANCE_ID"):
        judge.judge(aborted("fenced"), "fenced", {}, NOBODY)


def test_a_fencing_after_a_commit_is_the_first_again(judge: Verdicts) -> None:
    for _ in range(5):
        judge.judge(aborted("fenced"), "fenced", {}, NOBODY)
        judge.committed({})


def test_lost_partitions_are_nobodys_fault(judge: Verdicts) -> None:
    for _ in range(100):
        judge.judge(AgentFailed("lost", "moved"), "lost", {}, NOBODY)
    assert judge.trying_again == ""
    assert not judge.traced


@pytest.mark.parametrize("code", sorted(clients.FORBIDDEN))
def test_what_no_repetition_would_mend_stops_the_worker_at_once(judge: Verdicts, code: int) -> None:
    with pytest.raises(ConfigurationRefused, match="may not"):
        judge.judge(aborted(cause=KafkaError(code)), "error", {}, NOBODY)


def test_a_failed_produce_is_run_again_traced_and_convicts_what_the_broker_refused(judge: Verdicts) -> None:
    judge.judge(aborted(), "error", {}, NOBODY)
    assert judge.traced
    assert judge.refused_at(AT) == {}
    judge.judge(aborted(), "error", {(AT, 7): TOO_LARGE, (TP("orders", 2), 3): TOO_LARGE}, NOBODY)
    assert judge.refused_at(AT) == {7: TOO_LARGE}
    assert judge.refused_at(TP("orders", 2)) == {3: TOO_LARGE}
    assert judge.traced


def test_a_conviction_lasts_until_its_record_is_committed(judge: Verdicts) -> None:
    judge.judge(aborted(), "error", {(AT, 7): TOO_LARGE, (AT, 9): TOO_LARGE}, NOBODY)
    judge.committed({AT: 8})
    assert judge.refused_at(AT) == {9: TOO_LARGE}
    judge.committed({TP("orders", 2): 100})
    assert judge.refused_at(AT) == {9: TOO_LARGE}
    judge.committed({AT: 10})
    assert judge.refused_at(AT) == {}
    assert not judge.traced


def test_many_refused_records_in_one_batch_are_not_repetitions(judge: Verdicts) -> None:
    for offset in range(200):
        judge.judge(aborted(), "error", {(AT, offset): TOO_LARGE}, NOBODY)
    assert len(judge.refused_at(AT)) == 200


def test_a_refused_dead_letter_stops_the_worker_and_says_what_to_check(judge: Verdicts) -> None:
    judge.judge(aborted(), "error", {(AT, 7): TOO_LARGE}, NOBODY)
    judge.judge(aborted(), "error", {(AT, 7): TOO_LARGE}, NOBODY)
    assert judge.stripped_at(AT) == {7}
    with pytest.raises(ConfigurationRefused, match=r"orders/1@7.*headrace\.counting\.dlq"):
        judge.judge(aborted(), "error", {(AT, 7): TOO_LARGE}, NOBODY)


def test_purged_outputs_alone_are_run_again_a_bounded_number_of_times(judge: Verdicts) -> None:
    others = frozenset({"_PURGE_QUEUE", "OUT_OF_ORDER_SEQUENCE_NUMBER"})
    for _ in range(verdicts.UNEXPLAINED_IN_A_ROW - 1):
        judge.judge(aborted(), "error", {}, others)
    with pytest.raises(ConfigurationRefused, match="cannot commit"):
        judge.judge(aborted(), "error", {}, others)


def test_a_refusal_that_no_record_answers_for_stops_the_worker(judge: Verdicts) -> None:
    others = frozenset({"MSG_SIZE_TOO_LARGE", "_PURGE_QUEUE"})

    def repeat() -> None:
        for _ in range(verdicts.AGENT_ATTEMPTS):
            judge.judge(aborted(), "error", {}, others)

    with pytest.raises(ConfigurationRefused, match=r"outside batch\.each.*MSG_SIZE_TOO_LARGE"):
        repeat()


def test_an_absent_broker_is_waited_for_without_end(judge: Verdicts) -> None:
    for _ in range(1000):
        judge.judge(aborted(), "error", {}, frozenset({"_MSG_TIMED_OUT"}))


def test_repetitions_wait_longer_each_time_and_never_more_than_two_seconds(judge: Verdicts) -> None:
    waits: list[float] = []
    for _ in range(12):
        judge.judge(aborted(), "error", {}, NOBODY)
        judge.back_off(waits.append)
    assert waits == sorted(waits)
    assert 0 < waits[0] < 1
    assert waits[-1] == verdicts.RETRY_MAX_S


def test_a_first_failure_is_run_again_at_once(judge: Verdicts) -> None:
    waits: list[float] = []
    judge.judge(agent_failed(), "agent", {}, NOBODY)
    judge.back_off(waits.append)
    assert waits == []


def test_a_static_member_may_be_fenced_for_nothing_but_not_again_at_once(judge: Verdicts) -> None:
    judge.fenced_out(100.0)
    judge.fenced_out(100.0 + verdicts.FENCED_AGAIN_S)
    judge.committed({})
    judge.fenced_out(101.0 + verdicts.FENCED_AGAIN_S)
    with pytest.raises(ConfigurationRefused, match="another worker has the instance id w1"):
        judge.fenced_out(102.0 + verdicts.FENCED_AGAIN_S)


def test_offsets_of_a_replaced_static_member_are_refused_and_nobody_is_to_blame() -> None:
    replaced = KafkaException(KafkaError(KafkaError.FENCED_INSTANCE_ID))
    assert clients.is_rebalance(replaced)
    assert not clients.is_fencing(replaced)
