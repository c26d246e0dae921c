"""Times as Go writes them in JSON: RFC 3339 in UTC, fractions without trailing zeros."""

from __future__ import annotations

import datetime

ZERO = "0001-01-01T00:00:00Z"
"""Go's zero time."""


def rfc3339(ns: int) -> str:
    """Nanoseconds since the Unix epoch as text; 0 is Go's zero time."""
    if not ns:
        return ZERO
    seconds, rest = divmod(ns, 1_000_000_000)
    moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=seconds)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
