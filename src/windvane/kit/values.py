"""Setting values as people write them: durations, byte sizes, addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass

from windvane.kit.errors import BadInputError

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_UNITS_MS["w"] = 7 * _UNITS_MS["d"]
_UNITS_MS["y"] = 365 * _UNITS_MS["d"]
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdwy])")
_SIZES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)


def parse_duration(text: str) -> float:
    """Seconds in a duration such as `250ms`, `5m`, `1h30m`, `15d` (years have 365 days)."""
    milliseconds, position = 0.0, 0
    for match in _DURATION.finditer(text):
        if match.start() != position:
            break
        milliseconds += float(match[1]) * _UNITS_MS[match[2]]
        position = match.end()
    if not text or position != len(text):
        raise BadInputError(f"not a duration: {text!r} (expected for example 250ms, 30s, 1h30m, 15d)")
    return milliseconds / 1_000


def parse_size(text: str) -> int:
    """Bytes in a size such as `512`, `64k`, `10MiB` (powers of 1024)."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise BadInputError(f"not a size: {text!r} (expected for example 512, 64k, 10MiB)")
    return int(float(match[1]) * _SIZES[match[2].lower()])


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port to listen on or to connect to; port 0 asks the system for one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `host:port` (`[::1]:9900` for IPv6)."""
        host, separator, port = text.rpartition(":")
        if not separator or not host or not port.isdigit() or int(port) > 65535:
            raise BadInputError(f"not an address: {text!r} (expected host:port, for example 127.0.0.1:9900)")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
