"""Who may read: bearer tokens with roles, or anybody on the same machine where there are none. Pure.

/livez, /readyz and /metrics stay open: orchestrators and scrapers ask them, often without a way to hold a
secret, and they tell names and numbers, no rows.
"""

import hmac
from collections.abc import Mapping
from ipaddress import ip_address

from streams.config import ROLES
from streams.errors import UsageError
from streams.web.refusals import Refusal

OPEN_PATHS = frozenset({"/livez", "/readyz", "/metrics"})


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Access:
    """Decides on each request.

    Args:
        roles: role of each bearer token; empty: none are set.
        host: address the server binds.

    Raises:
        UsageError: other machines would reach the server, and no token is set.
    """

    def __init__(self, roles: Mapping[str, str], host: str) -> None:
        if not roles and not is_loopback(host):
            raise UsageError(
                f"HEADRACE_WEB_HOST={host} lets other machines read the tables, but no token guards them: "
                "set HEADRACE_WEB_TOKENS=token:viewer, or HEADRACE_WEB_HOST=127.0.0.1"
            )
        self._roles = {token.encode(): role for token, role in roles.items()}
        self._host = host

    def check(self, path: str, authorization: str | None, host: str, role: str = "viewer") -> None:
        """Let the request pass if its sender may do what `role` may.

        Raises:
            Refusal: 401 without a valid token, 403 with one that may not.
        """
        if path in OPEN_PATHS:
            return
        if not self._roles:
            self._check_host(host)
            if role != ROLES[0]:
                raise Refusal(
                    403, "forbidden", f"expected a token of role {role}; set HEADRACE_WEB_TOKENS=token:{role}"
                )
            return
        held = self._role_of(authorization)
        if held is None:
            raise Refusal(401, "unauthorized", "expected header Authorization: Bearer <token> with a valid token")
        if ROLES.index(held) < ROLES.index(role):
            raise Refusal(403, "forbidden", f"expected a token of role {role} or higher, got {held}")

    def _role_of(self, authorization: str | None) -> str | None:
        scheme, _space, token = (authorization or "").partition(" ")
        given = token.strip().encode("utf-8", "surrogateescape") if scheme.lower() == "bearer" else b""
        found = None
        for known, role in self._roles.items():  # all of them: the time must not tell which one came close
            if hmac.compare_digest(known, given):
                found = role
        return found

    def _check_host(self, host: str) -> None:
        """Refuse a foreign name for this machine: a web page elsewhere could have its name resolve to us."""
        name = host.rsplit(":", 1)[0] if host.rpartition(":")[2].isdecimal() else host
        if name != self._host and not is_loopback(name.strip("[]")):
            raise Refusal(403, "forbidden", "expected Host: localhost or a loopback address; else set tokens")
