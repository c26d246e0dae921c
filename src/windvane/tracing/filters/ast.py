"""What a query says, whatever the table: a tree of AND, OR, NOT over conditions on one name each."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from windvane.kit.errors import BadInputError

SCOPES = ("resource", "span", "scope", "event", "link", "log")


class FilterError(BadInputError):
    """A mistake in a query; `position` is the character (from 1) where it is."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(f"query, character {position}: {reason}")
        self.position = position


@dataclass(frozen=True, slots=True)
class Key:
    """A name that a condition is about; `quoted` names are never taken apart nor taken for a column."""

    name: str
    scope: str = ""
    quoted: bool = False
    at: int = field(default=1, compare=False)

    @property
    def full(self) -> str:
        """The name as it was written, scope included."""
        return f"{self.scope}.{self.name}" if self.scope else self.name


@dataclass(frozen=True, slots=True)
class Text:
    """A value as written; a `quoted` one is never taken for a number."""

    text: str
    quoted: bool = False
    at: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class And:
    """Every term holds; of no terms, everything."""

    terms: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One term holds at least."""

    terms: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The term does not hold (also where there is no such attribute)."""

    term: Expression


@dataclass(frozen=True, slots=True)
class Equal:
    """A value is this one."""

    key: Key
    value: Text


@dataclass(frozen=True, slots=True)
class Between:
    """A value is within bounds; None is an open end, `open_low` and `open_high` leave the bound itself out."""

    key: Key
    low: Text | None = None
    high: Text | None = None
    open_low: bool = False
    open_high: bool = False


class Wildcard(Enum):
    """What stands for other characters in a pattern."""

    MANY = "*"
    ONE = "?"


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text with wildcards, in pieces; neighbouring pieces are not both text."""

    pieces: tuple[str | Wildcard, ...]


@dataclass(frozen=True, slots=True)
class Like:
    """A value has this shape."""

    key: Key
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Regex:
    """The whole value matches."""

    key: Key
    pattern: str
    at: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Present:
    """There is a value."""

    key: Key


@dataclass(frozen=True, slots=True)
class Words:
    """A text of the record has this within it: plain text, a pattern, or a match of a regex."""

    wanted: Text | Pattern | Regex


Expression = And | Or | Not | Equal | Between | Like | Regex | Present | Words
EVERYTHING = And(())
