"""Claims addresses for one mesh so that two meshes on a machine never share one.

Where the whole of 127.0.0.0/8 is local (Linux), a mesh claims a /24 of it and every workload gets
an address of its own; elsewhere (macOS) all share 127.0.0.1. Either way it claims a block of ports
on 127.0.0.1 and, one by one, the ports that people see. A claim is an exclusive lock on a file in a
directory shared by all meshes of the user: the system releases it when the process ends, however
it ends. Locks are needed because Envoy and gRPC open listeners with SO_REUSEPORT: two meshes that
found the same port free would both succeed in binding it, and share its connections. What other
programs hold is found by binding.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from windvane.kit.errors import LimitError

CanBind = Callable[[str, int], bool]

SHARED = "127.0.0.1"
_BLOCK = 1_000
_BLOCKS = range(10_000, 31_001, _BLOCK)  # below the ephemeral ports (from 32768 on Linux)


def can_bind(address: str, port: int) -> bool:
    """Whether a listener could be opened now. Sockets in TIME_WAIT do not count as taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
                return False
            raise
    return True


def state_directory() -> Path:
    """Where claims are kept: the user's runtime directory, else a private one under the temporary directory."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "windvane"
    return Path(tempfile.gettempdir()) / f"windvane-{os.getuid()}"


@dataclass(slots=True)
class Claim:
    """What one mesh holds: a /24 (`prefix` such as "127.80.3", empty where there is none) and `ports` of 127.0.0.1.

    Close it to give everything back; the end of the process does the same.
    """

    directory: Path
    prefix: str
    ports: range
    bindable: CanBind = can_bind
    _locks: list[IO[str]] = field(default_factory=list, repr=False)

    @property
    def name(self) -> str:
        ports = f"{SHARED}:{self.ports.start}-{self.ports.stop - 1}"
        return f"{self.prefix}.0/24 and {ports}" if self.prefix else ports

    def address(self, index: int) -> str:
        """Address of the index-th workload (from 0); LimitError past the /24."""
        if not self.prefix:
            return SHARED
        if index > 252:
            raise LimitError(f"{self.prefix}.0/24 is full: a mesh on one machine has at most 253 sidecars")
        return f"{self.prefix}.{index + 2}"

    def visible_port(self, host: str, wanted: int) -> int:
        """`wanted` if it is free on `host`, else the next free port above; no other mesh will get it.

        For listeners that people address (console, gateway). LimitError when none is free.
        """
        for port in range(max(wanted, 1), 65_536):
            if not self.bindable(host, port):
                continue
            lock = _lock(self.directory / f"{host.replace(':', '_')}-{port}.lock")
            if lock is not None:
                self._locks.append(lock)
                return port
        raise LimitError(f"no free TCP port from {wanted} up on {host}")

    def close(self) -> None:
        for lock in self._locks:
            lock.close()
        self._locks.clear()


def claim(directory: Path | None = None, *, prefer: str = "", bindable: CanBind = can_bind) -> Claim:
    """Take the first free blocks; `prefer` (a prefix) is tried first so that a restarted mesh keeps its addresses.

    LimitError when all are taken.
    """
    directory = directory or state_directory()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    locks: list[IO[str]] = []
    prefix = ""
    if bindable("127.80.0.2", 0):
        prefix, lock = _first(directory, _prefixes(prefer), lambda prefix: bindable(f"{prefix}.2", 15_000))
        locks.append(lock)
    start, lock = _first(directory, map(str, _BLOCKS), lambda start: bindable(SHARED, int(start)))
    locks.append(lock)
    return Claim(directory, prefix, range(int(start), int(start) + _BLOCK), bindable, locks)


def _first(directory: Path, names: Iterator[str], unused: Callable[[str], bool]) -> tuple[str, IO[str]]:
    """The first name that can be locked and shows no sign of life of a mesh without a lock here (another user's)."""
    for name in names:
        lock = _lock(directory / f"{name}.lock")
        if lock is None:
            continue
        if unused(name):
            return name, lock
        lock.close()
    raise LimitError(f"no free block of loopback addresses or ports is left (claims are kept in {directory})")


def _prefixes(prefer: str) -> Iterator[str]:
    if prefer:
        yield prefer
    for second in range(80, 96):
        for third in range(256):
            yield f"127.{second}.{third}"


def _lock(path: Path) -> IO[str] | None:
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
