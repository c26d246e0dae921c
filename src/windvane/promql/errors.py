"""What can be wrong with a query, as Prometheus names it on the wire.

The HTTP face maps `error_type` to its envelope; other rooms see the kinds of `windvane.kit.errors`.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from windvane.kit.errors import BadInputError, LimitError


class Places:
    """Line and column of positions in a text, both from 1; columns count bytes, as in Prometheus's messages."""

    def __init__(self, text: str) -> None:
        sizes = [1] * len(text) if text.isascii() else [len(character.encode(errors="replace")) for character in text]
        self._bytes = [0, *accumulate(sizes)]
        self._lines = [0, *(place + 1 for place, character in enumerate(text) if character == "\n")]

    def of(self, position: int) -> tuple[int, int]:
        """Line and column of a character."""
        line = bisect_right(self._lines, position)
        return line, self._bytes[position] - self._bytes[self._lines[line - 1]] + 1


class QueryError(BadInputError):
    """A query that cannot be answered as asked."""

    error_type = "bad_data"


class ParseError(QueryError):
    """The text is not PromQL, or its types do not fit; `position` is an offset into the text."""

    def __init__(self, text: str, position: int, reason: str) -> None:
        line, column = Places(text).of(position)
        super().__init__(f"{line}:{column}: parse error: {reason}")
        self.position = position
        self.reason = reason


class ExecutionError(QueryError):
    """The query is well formed but cannot be carried out on the data that is there."""

    error_type = "execution"


class UnsupportedError(ExecutionError):
    """Valid PromQL that this version does not evaluate; it is refused rather than approximated."""


class QueryLimitError(LimitError):
    """A bound of the query engine (samples, points) was reached."""

    error_type = "execution"


class QueryTimeoutError(LimitError):
    """The query took longer than it may."""

    error_type = "timeout"


class QueryCancelledError(QueryError):
    """Whoever asked no longer waits for the answer."""

    error_type = "canceled"
