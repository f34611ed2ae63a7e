"""`headrace` as its entry point runs it, but in this process: a start costs more than most commands."""

import io
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout

import pytest

from streams import cli

Answer = subprocess.CompletedProcess[str]


def headrace(environment: Mapping[str, str], *arguments: str, stdin: str = "") -> Answer:
    """Run a command with these variables beside those of this process; how it ends is for the caller to judge."""
    output, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(errors):
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["headrace", *arguments])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return Answer(arguments, int(ended.value.code or 0), output.getvalue(), errors.getvalue())
