"""Records of a request that are not stored while the others are: why, how many, and what the sender is told."""

from __future__ import annotations

from collections import Counter

from windvane.kit.errors import BadInputError

_SHOWN = 5


class RefusedError(BadInputError):
    """A series, sample, exemplar or span is not stored; `reason` is one word for counting."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Refusals:
    """How many records of a request are not stored, by reason, with the first few messages."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._messages: dict[str, None] = {}

    def add(self, error: RefusedError, records: int = 1) -> None:
        """`records` are not stored for this reason."""
        if records:
            self.counts[error.reason] += records
            if len(self._messages) < _SHOWN:
                self._messages[error.message] = None

    def __len__(self) -> int:
        return self.counts.total()

    def text(self, received: int) -> str:
        """For the sender."""
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self.counts.items()))
        return f"{len(self)} of {received} records refused ({reasons}): {'; '.join(self._messages)}"
