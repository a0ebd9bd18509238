"""``python child.py PARENT SIGNAL PROGRAM ARG...``: become PROGRAM, and get SIGNAL when the process PARENT dies.

A parent killed with ``kill -9`` cannot tell its children to stop; the kernel can. The request survives ``exec``, so this
stands between the fork and the program instead of code that runs between fork and exec in a process with threads.
Where the kernel has no such request (it is Linux's own) the program starts without it.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def command(program: list[str], *, at_parents_death: signal.Signals) -> list[str]:
    """The command line that runs ``program`` as a child that does not outlive the process that calls this."""
    return [sys.executable, "-I", "-S", str(Path(__file__)), str(os.getpid()), str(int(at_parents_death)), *program]


def main(arguments: list[str]) -> None:
    """Become the program. ``arguments``: the id of the parent, the signal at the parent's death, the program."""
    parent, at_death, program = int(arguments[0]), int(arguments[1]), arguments[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, at_death, 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel was asked
            sys.exit(1)
    os.execv(program[0], program)  # noqa: S606  # the caller names the program; no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
