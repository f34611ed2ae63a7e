import pytest

from streams.dev.readiness import await_condition
from streams.errors import NotReachable


def test_an_answer_that_does_not_come_in_time_counts_as_not_yet() -> None:
    answers = iter([TimeoutError(), TimeoutError(), None])

    def answered() -> bool:
        if error := next(answers):
            raise error
        return True

    await_condition(answered, 10, "an answer")


def test_what_was_awaited_in_vain_is_told_with_the_last_error() -> None:
    def never() -> bool:
        raise TimeoutError

    with pytest.raises(NotReachable, match=r"waited 0 s for an answer \(no answer in time\)"):
        await_condition(never, 0, "an answer")
