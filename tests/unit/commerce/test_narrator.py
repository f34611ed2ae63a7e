"""What the demo tells: steps and progress on a terminal, plain lines elsewhere."""

from streams.commerce.demo.narrator import Narrator


def test_on_a_terminal_progress_is_written_over() -> None:
    written: list[str] = []
    narrator = Narrator(written.append, live=True)
    narrator.progress("sent 1 of 10")
    narrator.say("done")
    assert "\n" not in written[0]
    assert written[1].startswith("\r")
    assert written[1].endswith("done\n")


def test_progress_is_not_written_faster_than_an_eye_can_follow() -> None:
    written: list[str] = []
    narrator = Narrator(written.append, live=True)
    for count in range(1_000):
        narrator.progress(f"sent {count}")
    assert len(written) < 10


def test_elsewhere_every_line_is_whole_and_plain() -> None:
    written: list[str] = []
    narrator = Narrator(written.append, live=False)
    narrator.progress("sent 1 of 10")
    with narrator.step("send"):
        narrator.progress("too soon to tell again")
        narrator.event("killed")
    assert all(line.endswith("\n") for line in written)
    assert not any("\x1b" in line or "\r" in line for line in written)
    assert [line.split("s  ", 1)[1].strip() for line in written] == ["sent 1 of 10", "send", "killed"]
