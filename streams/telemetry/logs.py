"""Logs on stderr, for people (console) or machines (JSON lines), with one form for all that logs.

Our code logs through structlog; Faust, mode, aiohttp and Kafka's clients log through the standard library and
come out the same way. Secrets from the settings are struck out wherever they appear, tracebacks included.
"""

import logging
import re
import sys
from collections.abc import Callable
from typing import Any, TextIO

import structlog
from pydantic import SecretStr
from structlog.typing import EventDict, Processor

from streams.config import Settings

STRUCK_OUT = "***"
SECRET_NAME = re.compile(r"password|passwd|secret|token|authorization|credential", re.IGNORECASE)
# `password=x`, `Bearer x` and `https://user:password@host` in text that a library composed.
SECRET_TEXT = re.compile(
    r"(?P<name>(?:password|secret)\s*[=:]\s*|bearer\s+|://[^/\s:@]*:(?=[^\s/@]+@))[^\s@,;'\"]+", re.IGNORECASE
)
SHORTEST_SECRET = 4  # striking out every "a" because a password is "a" would hide the log, not the password
_CRASH = re.compile(r"Crashed reason=|We experienced a crash")
QUIET_LIBRARIES = ("aiohttp.access", "aiokafka", "asyncio", "faust", "mode", "urllib3")


def configure_logs(settings: Settings, stream: TextIO | None = None) -> None:
    """Send everything that is logged from now on to `stream` (stderr), as HEADRACE_LOG_FORMAT and _LEVEL say.

    Libraries speak from WARNING on; at DEBUG they say all. May be called again: the last call counts.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _strike_out(_secrets(settings)),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # a module's logger made before this call follows it too
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(settings, handler),
            ],
        )
    )
    _take_over(handler, settings.log_level)


def _take_over(handler: logging.Handler, level: str) -> None:
    handler.addFilter(_speaks_to_operators)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(level if level in {"DEBUG", "ERROR"} else "WARNING")
    logging.captureWarnings(capture=True)


def _speaks_to_operators(record: logging.LogRecord) -> bool:
    """Drop what libraries log under our names: mode's "[^-Service]: Starting...", and callers' bad requests.

    Its "Crashed" goes too: the engine says once which stage failed and why.
    """
    if str(record.msg).startswith("[^") and (record.levelno <= logging.INFO or _CRASH.search(str(record.msg))):
        return logging.getLogger().level <= logging.DEBUG
    error = record.exc_info[1] if record.exc_info else None
    return not (record.name == "aiohttp.server" and 400 <= getattr(error, "code", 500) < 500)  # noqa: PLR2004 HTTP 4xx


def _renderer(settings: Settings, handler: "logging.StreamHandler[TextIO]") -> Processor:
    if settings.log_format == "json":
        return structlog.processors.JSONRenderer(sort_keys=True, default=str)
    return structlog.dev.ConsoleRenderer(colors=handler.stream.isatty())


def _secrets(settings: Settings) -> tuple[str, ...]:
    values = [value.get_secret_value() for _name, value in settings if isinstance(value, SecretStr)]
    plain = {*values, *settings.web_roles()}
    found = plain | {repr(text)[1:-1] for text in plain}  # as it looks inside a printed list or dict
    return tuple(sorted((text for text in found if len(text) >= SHORTEST_SECRET), key=len, reverse=True))


def _strike_out(secrets: tuple[str, ...]) -> Processor:
    """Processor that hides secrets in all values: by their text, by the name of their key, by their shape."""

    def clean(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, STRUCK_OUT)
        return SECRET_TEXT.sub(rf"\g<name>{STRUCK_OUT}", text)

    def process(_logger: Any, _method: str, event: EventDict) -> EventDict:
        return {name: _cleaned(name, value, clean) for name, value in event.items()}

    return process


def _cleaned(name: str, value: object, clean: Callable[[str], str]) -> object:
    if name.startswith("_") or value is None or isinstance(value, bool | int | float):
        return value  # structlog's own record under "_record" is taken off before rendering
    if SECRET_NAME.search(name):
        return STRUCK_OUT
    if isinstance(value, list | tuple):
        return [_cleaned(name, inner, clean) for inner in value]
    if isinstance(value, dict):
        return {clean(str(key)): _cleaned(str(key), inner, clean) for key, inner in value.items()}
    return clean(value if isinstance(value, str) else str(value))
