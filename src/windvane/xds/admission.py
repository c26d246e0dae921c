"""The token that a mesh's proxies show to their control plane.

Configuration comes with the workload's key, so a process of another user must not get it by naming
a node. Server and supervisor share the token through a file that only its owner can read.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_FILE = "ads-token"


def admission_token(directory: Path) -> str:
    """The token kept in `directory`, made (with the directory) when it is not there yet."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = directory / _FILE
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return file.read_text(encoding="ascii")
    token = secrets.token_urlsafe(32)
    with os.fdopen(descriptor, "w", encoding="ascii") as made:
        made.write(token)
    return token
