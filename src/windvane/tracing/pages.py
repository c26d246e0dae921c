"""Where a result list goes on: the order of traces, and cursors.

A cursor is opaque to who gets it. It holds the last trace's place in the order and the time bounds of
the first page, so that pages which follow see the same window while data arrive: a span that starts
after the first page was asked changes nothing. A span that arrives late, with an earlier start, can
still move its trace.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass
from typing import Literal, get_args

import orjson

from windvane.kit.errors import BadInputError

Sort = Literal["newest", "oldest", "slowest", "most"]
SORTS: tuple[Sort, ...] = get_args(Sort)

RANKS: dict[Sort, str] = {
    "newest": "max(toUnixTimestamp64Nano(Timestamp))",
    "oldest": "-min(toUnixTimestamp64Nano(Timestamp))",
    "slowest": "toInt64(max(Duration))",
    "most": "toInt64(count())",
}
"""Of a trace's matching spans, the number that orders traces: the greatest first, then by trace id."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last trace of a page; the next one goes on behind it. `query` is `digest` of what was asked."""

    rank: int
    trace_id: str
    start_ns: int
    end_ns: int
    query: int

    def text(self) -> str:
        """The cursor as it travels."""
        data = orjson.dumps([self.rank, self.trace_id, self.start_ns, self.end_ns, self.query])
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """A cursor as it travelled; `BadInputError` for what is none."""
        try:
            fields = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        except (ValueError, binascii.Error):
            fields = None
        kinds = [int, str, int, int, int]
        if not isinstance(fields, list) or [type(field) for field in fields] != kinds:
            raise BadInputError("this is no cursor of a page of traces")
        if not all(abs(number) < 1 << 63 for number in fields if isinstance(number, int)):
            raise BadInputError("this is no cursor of a page of traces")
        return cls(*fields)


def digest(*asked: str) -> int:
    """A number that tells queries apart, so that a cursor is not used with another one."""
    return zlib.crc32("\0".join(asked).encode())
