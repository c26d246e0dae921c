"""Run as a script with process groups: ends them when the supervisor is gone, however it went.

Reads further `+<group>` and `-<group>` lines from standard input, a pipe that only the supervisor holds
open. At its end every group still listed gets SIGTERM and, five seconds later, SIGKILL. The kernel's
parent-death signal reaches a child but not the child's children; this reaches both.
Imports nothing of Windvane: it must start in milliseconds.
"""

import os
import signal
import sys
import time

_GRACE = 5.0


def _signal(group: int, number: int) -> bool:
    """Whether the group (still) exists."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS: a group of zombies
        return False
    return True


def main() -> None:
    groups = {int(group) for group in sys.argv[1:]}
    for line in sys.stdin:
        action, group = line[0], int(line[1:])
        groups.add(group) if action == "+" else groups.discard(group)
    alive = {group for group in groups if _signal(group, signal.SIGTERM)}
    deadline = time.monotonic() + _GRACE
    while alive and time.monotonic() < deadline:
        time.sleep(0.05)
        alive = {group for group in alive if _signal(group, 0)}
    for group in alive:
        _signal(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
