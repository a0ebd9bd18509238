"""``python child.py PARENT SIGNAL PROGRAM ARG...``: run PROGRAM in this process, which gets SIGNAL when the process PARENT dies.

A parent killed with ``kill -9`` cannot stop its children; the kernel can. The request survives ``exec``, so a separate script
can make it. Code between fork and exec (``preexec_fn``) would not be safe in a process with threads.
Only Linux offers this request; elsewhere the program starts without it.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def command(program: list[str], *, at_parents_death: signal.Signals) -> list[str]:
    """The command line that runs ``program`` as a child of the calling process and stops it when that process dies."""
    return [sys.executable, "-I", "-S", str(Path(__file__)), str(os.getpid()), str(int(at_parents_death)), *program]


def end_with_parent(parent: int, at_death: int) -> None:
    """Ask the kernel to send this process the signal ``at_death`` when ``parent`` dies. Exits when it is dead already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, at_death, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the request was made
            sys.exit(1)


def main(arguments: list[str]) -> None:
    """Replace this process by the program. ``arguments``: id of the parent, signal at its death, the program's command line."""
    parent, at_death, program = int(arguments[0]), int(arguments[1]), arguments[2:]
    end_with_parent(parent, at_death)
    os.execv(program[0], program)  # noqa: S606  # the caller names the program; no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
