"""Places of lines: their order, and cursors of pages. See `windvane.tracing.logs`."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import orjson

from windvane.kit.errors import BadInputError

Sort = Literal["newest", "oldest"]
SORTS: tuple[Sort, ...] = get_args(Sort)


class Place(NamedTuple):
    """Where a line is: lines in the order oldest first are in the order of their places."""

    time_ns: int
    rank: int
    block: int
    offset: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last line of a page, the time bounds of the first page, and `digest` of what was asked."""

    place: Place
    start_ns: int
    end_ns: int
    query: int

    def text(self) -> str:
        """The cursor as it travels."""
        data = orjson.dumps([*self.place, self.start_ns, self.end_ns, self.query])
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """A cursor as it travelled; `BadInputError` for what is none."""
        try:
            found = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        except (ValueError, binascii.Error):
            found = None
        numbers = found if isinstance(found, list) and len(found) == 7 else []
        if not numbers or not all(type(number) is int and abs(number) < 1 << 63 for number in numbers):
            raise BadInputError("this is no cursor of a page of log lines")
        return cls(Place(*numbers[:4]), *numbers[4:])


GROWTH = 32
"""Each window is so many times as long as the one before."""


def windows(start_ns: int, end_ns: int, sort: Sort, first_ns: int = 0) -> list[tuple[int, int]]:
    """Time bounds (inclusive) one behind the other, from the end where the order begins: first short, then longer.

    The first is `first_ns` long; without it so short that there are about three.
    """
    found: list[tuple[int, int]] = []
    width = first_ns or max(1, (end_ns - start_ns) // GROWTH**2)
    while start_ns <= end_ns:
        if sort == "newest":
            low = max(start_ns, end_ns - width)
            found.append((low, end_ns))
            end_ns = low - 1
        else:
            high = min(end_ns, start_ns + width)
            found.append((start_ns, high))
            start_ns = high + 1
        width *= GROWTH
    return found
