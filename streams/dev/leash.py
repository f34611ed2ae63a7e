"""Runs a command that dies with its owner: `python leash.py OWNER_PID COMMAND...` (a script, never imported).

A test run that is killed with -9 cannot clean up; the kernel's parent-death signal alone still works then.
It is set here, in a process of its own between fork and exec, because Python code that runs after fork in a
process with threads (`preexec_fn`) may deadlock. Where there is no such signal the command runs unleashed.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Ask for SIGKILL at the owner's death, then become the command."""
    owner, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != owner:  # it died before the signal was set
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 the caller gives an absolute path


main()
