"""Run as a script: `python launch.py SUPERVISOR-PID PROGRAM ARGUMENT…`, becoming the program.

Asks the kernel (Linux: PR_SET_PDEATHSIG) to end this process when the supervisor dies, then execs.
A program of its own, because code run between fork and exec in the supervisor could deadlock on
its threads' locks. Imports nothing of Windvane: it must start in milliseconds.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    supervisor, *program = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(supervisor):
        sys.exit("the supervisor is gone")
    try:
        os.execvp(program[0], program)  # noqa: S606  becoming it is the point
    except OSError as error:
        sys.exit(f"cannot run {program[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
