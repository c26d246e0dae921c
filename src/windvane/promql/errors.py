"""What can be wrong with a query, as Prometheus names it on the wire.

The HTTP face maps `error_type` to its envelope; other rooms see the kinds of `windvane.kit.errors`.
"""

from __future__ import annotations

from windvane.kit.errors import BadInputError, LimitError


class QueryError(BadInputError):
    """A query that cannot be answered as asked."""

    error_type = "bad_data"


class ParseError(QueryError):
    """The text is not PromQL, or its types do not fit; `position` is an offset into the text."""

    def __init__(self, text: str, position: int, reason: str) -> None:
        before = text[:position]
        line = before.count("\n") + 1
        column = position - (before.rfind("\n") + 1) + 1
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
