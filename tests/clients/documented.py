"""The commands of a documentation page and what it says they print, to be run and compared."""

import doctest
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.clients.programs import run_bounded

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "clients.md"
BLOCK = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Documented:
    """One command, and what it prints: `...` stands for anything."""

    command: str
    output: str


def section(page: Path, heading: str) -> str:
    """Text under a heading, to the next of any level.

    Raises:
        ValueError: the page has no such heading.
    """
    _before, found, rest = page.read_text().partition(f"# {heading}\n")
    if not found:
        raise ValueError(f"{page} has no heading {heading!r}")
    return re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def commands(text: str) -> list[Documented]:
    """Its commands in order: lines after `$ `, and those that a backslash or a pipe at the end adds."""
    found: list[Documented] = []
    for block in BLOCK.findall(text):
        for each in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command = re.match(r"(?:.*[|\\]\n)*.*\n", each)
            assert command is not None, each
            found.append(Documented(command[0].rstrip("\n"), each[command.end() :]))
    return found


def run_section(text: str, environment: Mapping[str, str], folder: Path, *, at_once: bool = False) -> list[str]:
    """Run all commands of a section in `folder`; each has to succeed and print what the page says.

    Args:
        text: the section.
        environment: variables besides those of this process.
        folder: where files that commands make go.
        at_once: they do not depend on each other, and mostly wait.

    Returns:
        What each printed.
    """
    documented = commands(text)
    assert documented, f"no commands in {text!r}"
    with ThreadPoolExecutor(max_workers=len(documented) if at_once else 1) as pool:
        return list(pool.map(lambda each: _run(each, environment, folder), documented))


def _run(documented: Documented, environment: Mapping[str, str], folder: Path) -> str:
    answer = run_bounded(["bash", "-c", f"cd {folder}; {documented.command}"], environment=environment)
    told = f"{documented.command}\nprinted\n{answer.stdout}\nand the page says\n{documented.output}\n{answer.stderr}"
    assert answer.returncode == 0, told
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.OutputChecker().check_output(documented.output, answer.stdout, flags), told
    return answer.stdout
