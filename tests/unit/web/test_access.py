import pytest

from streams.errors import UsageError
from streams.web.access import Access, is_loopback
from streams.web.refusals import Refusal

ROLES = {"view-me": "viewer", "run-me": "operator"}


def status(
    access: Access,
    authorization: str | None,
    *,
    path: str = "/api/tables",
    host: str = "localhost:6066",
    role: str = "viewer",
) -> int:
    try:
        access.check(path, authorization, host, role)
    except Refusal as refusal:
        return refusal.status
    return 200


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_loopback_anybody_may_read(host: str) -> None:
    assert is_loopback(host)
    assert status(Access({}, host), None) == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "worker-1", "localhost.example.org"])  # noqa: S104
def test_elsewhere_a_server_without_tokens_does_not_start(host: str) -> None:
    with pytest.raises(UsageError, match="HEADRACE_WEB_TOKENS") as refused:
        Access({}, host)
    assert "\n" not in str(refused.value)
    assert status(Access(ROLES, host), "Bearer view-me") == 200


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Bearer nobody", "Basic view-me", "view-me", "Bearer \udcff"]
)
def test_with_tokens_a_request_without_a_valid_one_is_refused(authorization: str | None) -> None:
    assert status(Access(ROLES, "127.0.0.1"), authorization) == 401


def test_a_role_may_do_what_lower_ones_may_and_no_more() -> None:
    access = Access(ROLES, "127.0.0.1")
    assert status(access, "bearer run-me", role="viewer") == 200
    assert status(access, "Bearer run-me", role="operator") == 200
    assert status(access, "Bearer run-me", role="admin") == 403
    assert status(access, "Bearer view-me", role="operator") == 403


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_probes_and_metrics_stay_open(path: str) -> None:
    assert status(Access(ROLES, "127.0.0.1"), None, path=path) == 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost:6066", 200),
        ("127.0.0.1", 200),
        ("[::1]:6066", 200),
        ("evil.example.org", 403),
        ("evil.org:6066", 403),
        ("", 403),
    ],
)
def test_without_tokens_a_foreign_name_for_this_machine_is_refused(host: str, expected: int) -> None:
    assert status(Access({}, "127.0.0.1"), None, host=host) == expected
