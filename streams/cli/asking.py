"""Asks a worker over HTTP, whichever HEADRACE_URL names.

The bearer token is HEADRACE_TOKEN, else the first of HEADRACE_WEB_TOKENS; none is sent where neither is set.
"""

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from streams.config import Settings
from streams.errors import HeadraceError, NotReachable, UsageError

TIMEOUT_S = 10.0  # a worker takes 2 s to ask Kafka and 2 s to ask another worker at most


class AnswerRefused(HeadraceError):
    """The worker refused, for the reason that its `code` names."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def ask(target: str, headers: Mapping[str, str] | None = None, patience_s: float = TIMEOUT_S) -> Any:
    """JSON answer of the worker.

    Raises:
        NotReachable: nobody answers at HEADRACE_URL, or not in time, or it cannot answer now.
        AnswerRefused: the worker refused; its message says why.
        HeadraceError: who answers is no worker.
    """
    settings = Settings()
    token = settings.bearer_token()
    sent = {"Accept": "application/json", **(headers or {})} | ({"Authorization": f"Bearer {token}"} if token else {})
    url = settings.worker_url()
    connection, base = _connection(url, patience_s)
    try:
        connection.request("GET", base + target, headers=sent)
        response = connection.getresponse()
        status, body = response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotReachable(
            f"no worker answers at {url} ({str(error) or 'no answer in time'}); set HEADRACE_URL"
        ) from error
    finally:
        connection.close()
    return _answer(url, status, body)


def _connection(url: str, patience_s: float) -> tuple[http.client.HTTPConnection, str]:
    parts = urlsplit(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if parts.scheme not in kinds or not parts.hostname:
        raise UsageError(f"HEADRACE_URL: expected http://host:port, got {url}")
    try:
        port = parts.port
    except ValueError:
        raise UsageError(f"HEADRACE_URL: expected a port from 1 to 65535, got {url}") from None
    return kinds[parts.scheme](parts.hostname, port, timeout=patience_s), parts.path.rstrip("/")


def _answer(url: str, status: int, body: bytes) -> Any:
    try:
        answer = json.loads(body)
        if status == http.client.OK:
            return answer
        code, message = answer["error"]["code"], answer["error"]["message"]
    except (ValueError, TypeError, KeyError):
        raise HeadraceError(f"{url} is no Headrace worker: it answered {status} without our JSON") from None
    if status == http.client.SERVICE_UNAVAILABLE:
        raise NotReachable(f"{message}; try again")
    if status == http.client.UNAUTHORIZED:
        raise AnswerRefused(code, f"{message}; set HEADRACE_TOKEN")
    raise AnswerRefused(code, message)
