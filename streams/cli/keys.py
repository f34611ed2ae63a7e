"""`headrace keys`: rotate what data keys are wrapped with, or the data keys themselves; shred a subject's.

Shredding asks on a terminal, since nobody can undo it; where there is none, as in a script, naming the subject is the
confirmation. `--dry-run` of both says what would be done.
"""

import sys
import time
from collections.abc import Sequence

import click

from streams.cli.options import location_options
from streams.cli.suggesting import Suggesting
from streams.config import Settings
from streams.engine.key_changes import Record, Records, change_keys, read_keys
from streams.errors import HeadraceError
from streams.security.data_keys import WrappedKeys, new_key, rewrapped
from streams.security.key_ring import KeyRing, required_key_ring


@click.group(cls=Suggesting)
def keys() -> None:
    """Rotate and shred the keys that protect tagged fields."""


@keys.command(short_help="Wrap all data keys with the ring's current key.")
@location_options
@click.argument("subjects", nargs=-1, metavar="[SUBJECT]...")
@click.option("--data-keys", is_flag=True, help="Also a new data key for every subject, not only for those named.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def rotate(subjects: tuple[str, ...], *, data_keys: bool, dry_run: bool) -> None:
    """Wrap all data keys with the ring's current key; give a new data key to each SUBJECT.

    What was encrypted before stays readable. Give every worker the new ring first.
    """
    settings = Settings()
    rotation = _Rotation(required_key_ring(settings, "keys rotate"), subjects, every_subject=data_keys)
    if dry_run:
        rotation.decide(read_keys(settings))
    else:
        change_keys(settings, rotation.decide)
    click.echo(rotation.told(done=not dry_run))


@keys.command(short_help="Make everything that is SUBJECT's unreadable, for good.")
@location_options
@click.argument("subject")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def shred(subject: str, *, yes: bool, dry_run: bool) -> None:
    """Delete all data keys of SUBJECT: what they encrypted can never be read again, by anyone.

    Exit 1 when the subject has no key.
    """
    settings = Settings()

    def tombstones(records: Records) -> list[Record]:
        prefix = f"{subject}/".encode()
        # A kid has no slash, but a subject may: `a` must not shred `a/b`.
        return [(key, None) for key in records if key.startswith(prefix) and b"/" not in key[len(prefix) :]]

    found = tombstones(read_keys(settings))
    if not found:
        raise HeadraceError(f"{subject} has no data keys; nothing to shred (subjects are spelled as in the messages)")
    if dry_run:
        click.echo(f"would shred {_count(len(found), 'data key')} of {subject}")
        return
    if sys.stdin.isatty() and not yes:
        click.confirm(f"Shred {_count(len(found), 'data key')} of {subject}? Nobody can undo it", abort=True)
    click.echo(f"shredded {_count(len(change_keys(settings, tombstones)), 'data key')} of {subject}")


class _Rotation:
    """What a rotation writes, decided of what the topic holds, and how much that was the last time."""

    def __init__(self, ring: KeyRing, subjects: Sequence[str], *, every_subject: bool) -> None:
        self._ring = ring
        self._subjects = subjects
        self._every_subject = every_subject
        self._wrapped: list[Record] = []
        self._made: list[Record] = []

    def decide(self, records: Records) -> list[Record]:
        keys = _wrapped(records)
        now_ms = int(time.time() * 1000)
        self._wrapped = [rewrapped(self._ring, key).record() for key in keys if key.ring_key != self._ring.current]
        self._made = [new_key(self._ring, who, now_ms, keys.newest(who)).record() for who in self._asked_for(keys)]
        return [*self._wrapped, *self._made]

    def told(self, *, done: bool) -> str:
        wrap, make = ("wrapped", "made") if done else ("would wrap", "would make")
        made = f", {make} {_count(len(self._made), 'new data key')}" if self._made else ""
        return f"{wrap} {_count(len(self._wrapped), 'data key')} with ring key {self._ring.current}{made}"

    def _asked_for(self, keys: WrappedKeys) -> list[str]:
        unknown = [subject for subject in self._subjects if not keys.of(subject)]
        if unknown:
            raise HeadraceError(f"no data keys of {', '.join(unknown)}; subjects are spelled as in the messages")
        return keys.subjects() if self._every_subject else list(dict.fromkeys(self._subjects))


def _wrapped(records: Records) -> WrappedKeys:
    keys = WrappedKeys()
    for key, value in records.items():
        keys.take(key, value)
    return keys


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
