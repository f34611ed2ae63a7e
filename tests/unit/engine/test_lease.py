import time

from streams.engine.clients import SESSION_TIMEOUT_MS
from streams.engine.lease import LEASE_S, Lease, clock
from streams.engine.owners import Owner, Owners


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_lease_is_over_well_before_the_session_is() -> None:
    assert LEASE_S * 1000 <= SESSION_TIMEOUT_MS / 2


def test_a_commit_proves_membership_from_when_it_began() -> None:
    now = Clock()
    lease = Lease(renewable=True, now=now)
    assert not lease.holds()
    began = now()
    now.now += 2
    lease.renew(began)
    assert lease.holds()
    now.now += LEASE_S - 2.1
    assert lease.holds()
    now.now += 0.2
    assert not lease.holds()


def test_a_failure_ends_it_until_the_next_commit() -> None:
    now = Clock()
    lease = Lease(renewable=True, now=now)
    lease.renew(now())
    lease.drop()
    assert not lease.holds()
    lease.renew(now())
    assert lease.holds()


def test_a_member_that_another_process_may_replace_at_once_has_none() -> None:
    now = Clock()
    lease = Lease(renewable=False, now=now)
    lease.renew(now())
    assert not lease.holds()


def test_its_clock_goes_on() -> None:
    before = clock()
    time.sleep(0.01)
    assert clock() - before >= 0.01


def test_a_group_confirms_its_members_in_what_no_other_member_owns() -> None:
    owners = Owners(0.0, {0: Owner("http://a", "m-1"), 1: Owner("http://a", "m-2")}, frozenset({"m-1", "m-2"}))
    assert owners.confirm(0, "m-1")
    assert not owners.confirm(1, "m-1")  # another process under the same address
    assert owners.confirm(2, "m-1")  # being dealt out, and not taken from it before it gave it up
    assert not owners.confirm(2, "m-0")
    assert not owners.confirm(0, "")
