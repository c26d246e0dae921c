"""What can be wrong with a query, worded as Tempo words it where clients show it."""

from __future__ import annotations

from windvane.kit.errors import BadInputError


class TraceQLError(BadInputError):
    """A query that is no TraceQL, or means nothing."""


class ParseError(TraceQLError):
    """The text is no TraceQL; line and column count from 1."""

    def __init__(self, text: str, position: int, reason: str) -> None:
        self.line = text.count("\n", 0, position) + 1
        self.column = position - (text.rfind("\n", 0, position) + 1) + 1
        self.reason = reason
        super().__init__(f"parse error at line {self.line}, col {self.column}: {reason}")


class UnsupportedError(TraceQLError):
    """Known to the language, but evaluated neither by Tempo nor here."""

    def __init__(self, feature: str) -> None:
        super().__init__(f"{feature} not yet supported")
