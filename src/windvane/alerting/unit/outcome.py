"""What came of a test file: failures with what was expected and what was found."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Failure:
    """One expectation that was not met, or an error; `expected` and `got` are texts of several lines."""

    subject: str
    message: str
    expected: str = ""
    got: str = ""
    line: int = 0

    def text(self) -> str:
        """For people: the subject, then both texts as a diff."""
        if not self.expected and not self.got:
            return f"    {self.subject}: {self.message}"
        lines = difflib.ndiff(self.expected.splitlines(), self.got.splitlines())
        diff = "\n".join(f"        {line}" for line in lines if not line.startswith("?"))
        return f"    {self.subject}: {self.message}\n        (- expected, + got)\n{diff}"


@dataclass(frozen=True, slots=True)
class GroupOutcome:
    """One test group; `checks` counts its expectations."""

    name: str
    checks: int
    failures: tuple[Failure, ...]
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.failures


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """One test file; `error` says why it could not be run at all."""

    path: Path
    groups: tuple[GroupOutcome, ...] = ()
    warnings: tuple[str, ...] = ()
    error: str = ""

    @property
    def passed(self) -> bool:
        return not self.error and all(group.passed for group in self.groups)
