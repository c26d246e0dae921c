"""Keeps the children's logs small: copy, then truncate, at a size.

Children write to their file directly (opened for appending), so a log works without the
supervisor; what a child writes in the instant between copy and truncation is lost.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

LOG_LIMIT = 8 << 20
"""Bytes at which a log is moved aside."""
LOG_KEEP = 2
"""Files kept besides the current one: `name.log.1` is the newest."""


def rotate(log: Path, limit: int = LOG_LIMIT, keep: int = LOG_KEEP) -> bool:
    """Move a log's content to `<log>.1` when it has reached `limit` bytes; whether it had."""
    if not log.exists() or log.stat().st_size < limit:
        return False
    for number in range(keep - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    shutil.copyfile(log, log.with_name(f"{log.name}.1"))
    os.truncate(log, 0)
    return True


def tail(log: Path, lines: int = 5) -> str:
    """The last lines of a log, for an error message; empty when there are none."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8_192))
        return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-lines:])
