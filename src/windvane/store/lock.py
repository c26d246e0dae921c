"""One process per data directory: an advisory lock (`flock`) on a file that names its holder.

The kernel drops the lock with the process, so a directory is free again after `kill -9`. Engines
of the same process share the lock; the last one to leave releases it.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

from windvane.kit.errors import ConflictError

LOCK_FILE = "windvane.lock"

_guard = threading.Lock()
_held: dict[Path, tuple[int, int]] = {}  # directory → (descriptor, engines that share it)


def acquire(directory: Path) -> None:
    """Take (or share within this process) the directory; `ConflictError` names the pid that has it."""
    with _guard:
        elsewhere = next((held for held in _held if held != directory), None)
        if elsewhere is not None:
            raise ConflictError(
                f"this process already has the data directory {elsewhere} open, cannot open {directory}"
            )
        descriptor, sharers = _held.get(directory) or (_lock(directory), 0)
        _held[directory] = (descriptor, sharers + 1)


def release(directory: Path) -> None:
    """Give up one share; the directory is free for other processes after the last."""
    with _guard:
        descriptor, sharers = _held.pop(directory)
        if sharers > 1:
            _held[directory] = (descriptor, sharers - 1)
        else:
            os.close(descriptor)


def _lock(directory: Path) -> int:
    file = directory / LOCK_FILE
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise ConflictError(
            f"data directory {directory} is in use by process {holder}: stop it or choose another with --data"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
