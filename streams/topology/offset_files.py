"""Offsets as lines `topic,partition,offset`: what kafka-consumer-groups --export prints and --from-file reads."""

import csv
import io
import re
from pathlib import Path

from streams.errors import HeadraceError, UsageError
from streams.topology.names import is_legal_topic
from streams.topology.replay import Offsets, Partition

_NUMBER = re.compile(r"[0-9]{1,19}")
_COLUMNS = 3
_MOST_CHARACTERS = 64 << 20
_MOST_SHOWN = 60


def format_offsets(offsets: Offsets) -> str:
    """One line a partition, in order; Kafka's names of topics need no quotes."""
    return "".join(f"{topic},{number},{offset}\n" for (topic, number), offset in sorted(offsets.items()))


def parse_offsets(text: str, name: str) -> dict[Partition, int]:
    """What `format_offsets` or Kafka's tool wrote, which puts quotes around long names.

    Args:
        text: the file's.
        name: of the file, for errors.

    Raises:
        HeadraceError: a line is of another form, a partition stands twice, or there is none; names the line.
    """
    offsets: dict[Partition, int] = {}
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in filter(None, lines):
            partition, offset = _entry(row, offsets)
            offsets[partition] = offset
    except (ValueError, csv.Error) as error:
        raise HeadraceError(f"{name}:{lines.line_num}: {error}") from None
    if not offsets:
        raise HeadraceError(f"{name}: expected lines topic,partition,offset, got none")
    return offsets


def _entry(row: list[str], before: Offsets) -> tuple[Partition, int]:
    if len(row) == _COLUMNS:
        topic, number, offset = (cell.strip() for cell in row)
        if is_legal_topic(topic) and _NUMBER.fullmatch(number) and _NUMBER.fullmatch(offset):
            partition = Partition(topic, int(number))
            if partition in before:
                raise ValueError(f"{partition} stands there already; leave one of them")
            return partition, int(offset)
    shown = ",".join(row)
    shown = shown if len(shown) <= _MOST_SHOWN else shown[:_MOST_SHOWN] + "…"
    raise ValueError(f"expected topic,partition,offset, got {shown!r}")


def read_offsets(path: Path) -> dict[Partition, int]:
    """Offsets of a file.

    Raises:
        UsageError: it cannot be read.
        HeadraceError: it holds something else.
    """
    try:
        if not path.is_file() and path.exists() and not path.is_dir():
            raise UsageError(f"cannot read {path}: expected a file")
        with path.open(encoding="utf-8") as file:
            text = file.read(_MOST_CHARACTERS + 1)
        if len(text) > _MOST_CHARACTERS:
            raise HeadraceError(f"{path}: expected at most {_MOST_CHARACTERS} characters of offsets, got more")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise HeadraceError(f"{path}: expected lines topic,partition,offset, got something that is not text") from None
    return parse_offsets(text, str(path))


def write_offsets(path: Path, offsets: Offsets) -> None:
    """Write a new file; one that is there stays, unless it says the same.

    Raises:
        HeadraceError: it cannot be written, or would replace other offsets, which may be somebody's way back.
    """
    text = format_offsets(offsets)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        if not path.is_file() or path.read_bytes() != text.encode():
            raise HeadraceError(f"{path} is there already, with something else in it; name another file") from None
    except OSError as error:
        raise HeadraceError(f"cannot write {path}: {error.strerror}; name another file with --export") from None
