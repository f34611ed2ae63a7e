"""What a check found, where, and how it is printed: `topology.yaml:12:7: what; why; what to do`."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from streams.errors import FindingsFound

# A file of garbage makes as many mistakes as it has lines; nobody reads more than this.
MOST_FINDINGS = 1000


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One mistake: position (from 1; 0 where a file as a whole is meant) and what is printed after it."""

    line: int
    column: int
    message: str

    def render(self, path: Path | str) -> str:
        """The line to print, with `path` as the user gave it."""
        return f"{path}:{self.line}:{self.column}: {self.message}"


def findings_found(path: Path | str, findings: Iterable[Finding]) -> FindingsFound:
    """Error that prints `findings` in the order of the file, each once."""
    distinct = sorted(set(findings))
    lines = [finding.render(path) for finding in distinct[:MOST_FINDINGS]]
    if len(distinct) > MOST_FINDINGS:
        lines.append(f"{path}: and {len(distinct) - MOST_FINDINGS} more; mend these first")
    return FindingsFound("\n".join(lines))
