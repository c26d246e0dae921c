"""What names mean in one table: the only thing that differs between spans, logs and access logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from windvane.tracing.filters.ast import Equal, Expression, Key
from windvane.tracing.filters.sql import Conditions

ColumnKind = Literal["text", "number", "duration", "choice", "id", "bool", "level"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column behind a name. `sql` is an expression of the table.

    text: a string; number: any number; duration: nanoseconds; bool: UInt8 or Bool; id: lower-case hex, asked in any
    case and without leading zeros up to `digits`; choice: one of `choices` (word → as stored), asked in any case;
    level: a number of which words name ranges (`levels`: word → least and greatest), in an order.
    """

    sql: str
    kind: ColumnKind = "text"
    choices: Mapping[str, str] = field(default_factory=dict)
    digits: int = 0
    levels: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attributes:
    """A column of attributes: a map of texts, or (`nested`) a list of such maps.

    `types` is the prefix of their names in the types column (`span.`); for a nested column it is followed by
    the position in the list (`event.0.`).
    """

    sql: str
    types: str = ""
    nested: bool = False


Rule = Callable[[Equal, Conditions], str]
"""A name's own rule for `name:value`: the condition in SQL, never NULL; raises `FilterError` for a wrong value."""


@dataclass(frozen=True, slots=True)
class FieldMap:
    """The names of one table.

    columns: by the whole name as written (`duration`, `span.kind`); they win over attributes unless quoted.
    attributes: by scope; a key without scope is looked up in all of them.
    tokens: the column of search tokens (`windvane.store.tokens`) over all those attributes, '' for none.
    types: the column with the types of attributes that are not strings, '' for none.
    words: texts that free words are looked for in, as SQL of a string; all attributes' values too if `words_in_values`.
    lowered: SQL of all texts that free words are looked for in, in lower case, where a text index has it; then
        `words` are for regexes, which know case.
    ids: columns of hex ids or UUIDs that a free word finds by being one, whole.
    rules: names of which equality has a rule of its own; what else is asked of them is asked of the column.
    """

    columns: Mapping[str, Column] = field(default_factory=dict)
    attributes: Mapping[str, Attributes] = field(default_factory=dict)
    tokens: str = ""
    types: str = ""
    words: tuple[str, ...] = ()
    words_in_values: bool = True
    lowered: str = ""
    ids: tuple[str, ...] = ()
    rules: Mapping[str, Rule] = field(default_factory=dict)

    def column(self, key: Key) -> Column | None:
        """The column that a key names, if it names one."""
        return None if key.quoted else self.columns.get(key.full)

    def rule(self, key: Key) -> Rule | None:
        """The rule of its own that a key has, if any."""
        return None if key.quoted else self.rules.get(key.full)

    def places(self, key: Key) -> list[Attributes]:
        """Where a key's attribute can be; empty for a scope that the table does not have."""
        if not key.scope:
            return list(self.attributes.values())
        return [self.attributes[key.scope]] if key.scope in self.attributes else []


def walk(expression: Expression) -> list[Expression]:
    """An expression and all within it."""
    found, todo = [], [expression]
    while todo:
        term = todo.pop()
        found.append(term)
        todo += getattr(term, "terms", ()) or ([term.term] if hasattr(term, "term") else [])
    return found
