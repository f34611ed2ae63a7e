import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from aiohttp.http_exceptions import BadHttpMessage
from hypothesis import given
from hypothesis import strategies as st

from streams.config import Settings
from streams.telemetry.logs import SECRET_TEXT, configure_logs

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def logs_of(**values: Any) -> Lines:
    stream = io.StringIO()
    configure_logs(Settings.model_validate({"log_format": "json", **values}), stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_our_lines_and_a_librarys_have_one_form() -> None:
    lines = logs_of()
    structlog.get_logger("streams.engine").info("started", stage="router")
    logging.getLogger("faust").warning("slow %s", "start")
    ours, theirs = lines()
    assert (ours["event"], ours["stage"], ours["level"]) == ("started", "router", "info")
    assert (theirs["event"], theirs["logger"], theirs["level"]) == ("slow start", "faust", "warning")
    assert ours.keys() >= {"timestamp", "logger"}


def test_libraries_are_quiet_below_warning_unless_debugging() -> None:
    lines = logs_of()
    logging.getLogger("mode.worker").info("Starting...")
    assert lines() == []
    lines = logs_of(log_level="DEBUG")
    logging.getLogger("mode.worker").info("Starting...")
    assert len(lines()) == 1


def test_a_console_line_is_readable_and_has_no_colours_in_a_file() -> None:
    stream = io.StringIO()
    configure_logs(Settings(), stream)
    structlog.get_logger("streams.engine").info("started", stage="router")
    assert "started" in stream.getvalue()
    assert "stage=router" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


@given(st.from_regex(r"[a-z\"\\]{12,20}", fullmatch=True))
def test_a_secret_of_the_settings_is_never_printed(secret: str) -> None:
    stream = io.StringIO()
    configure_logs(Settings.model_validate({"log_format": "json", "kafka_sasl_password": secret}), stream)
    log = structlog.get_logger("streams")
    log.info("login with %s", secret, detail={"inner": [secret]}, other=secret)
    try:
        raise ValueError(secret)  # noqa: TRY301 the traceback is what is tested
    except ValueError:
        log.exception("refused")
        logging.getLogger("faust").exception("refused")
    text = stream.getvalue()
    assert len(text.splitlines()) == 3
    assert secret not in text
    assert json.dumps(secret)[1:-1] not in text
    assert json.dumps(repr(secret)[1:-1])[1:-1] not in text


@pytest.mark.parametrize(
    "text",
    [
        "sasl.password=hunter22",
        "password: hunter22",
        "Authorization: Bearer hunter22",
        "http://u:hunter22@host/",
    ],
)
def test_what_looks_like_a_secret_is_struck_out(text: str) -> None:
    lines = logs_of()
    logging.getLogger("confluent").warning(text)
    assert "hunter22" not in lines()[0]["event"]


def test_a_field_named_like_a_secret_is_struck_out() -> None:
    lines = logs_of()
    structlog.get_logger().info("x", api_token=b"abc", offset=5, nested={"password": "abc"})
    assert "abc" not in str(lines()[0])
    assert lines()[0]["offset"] == 5


def test_web_tokens_are_secrets_too() -> None:
    lines = logs_of(web_tokens="swordfish-1:viewer,swordfish-2:admin")
    structlog.get_logger().info("got swordfish-1 and swordfish-2")
    assert lines()[0]["event"] == "got *** and ***"


def test_a_services_coming_and_going_is_told_only_when_debugging() -> None:
    lines = logs_of()
    logging.getLogger("streams.engine.app").info("[^-StageApp]: Starting...")
    logging.getLogger("streams.engine.app").error("[^-StageApp]: Crashed")
    assert [line["level"] for line in lines()] == ["error"]


def test_a_callers_bad_request_leaves_no_trace_in_the_log_but_our_own_failure_does() -> None:
    lines = logs_of()
    for error in (BadHttpMessage("line too long"), ValueError("ours")):
        try:
            raise error
        except (BadHttpMessage, ValueError):
            logging.getLogger("aiohttp.server").exception("Error handling request")
    assert ["ours" in line["exception"] for line in lines()] == [True]


def test_an_address_without_a_password_is_left_alone() -> None:
    assert SECRET_TEXT.sub(r"\g<name>***", "http://127.0.0.1:6066/page") == "http://127.0.0.1:6066/page"
    assert "hunter2" not in SECRET_TEXT.sub(r"\g<name>***", "https://me:hunter2@registry:8081/")
