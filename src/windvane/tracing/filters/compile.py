"""Expression to SQL: a condition over one table, never NULL, its values bound as parameters.

Equality with an attribute asks the text index first and compares exactly only where a token does not
say all. What the index cannot tell (negation, regexes, ranges, wildcards) is computed from rows, so its
cost is that of the rows which the rest of the query and the time bounds leave.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from windvane.store.tokens import is_exact, token
from windvane.tracing.filters import values
from windvane.tracing.filters.ast import (
    And,
    Between,
    Equal,
    Expression,
    FilterError,
    Key,
    Like,
    Not,
    Or,
    Pattern,
    Present,
    Regex,
    Text,
    Wildcard,
    Words,
)
from windvane.tracing.filters.fields import Attributes, Column, FieldMap
from windvane.tracing.filters.sql import Conditions

_Test = Callable[[str, str], str]
"""(SQL of a text, SQL of its type) → SQL that says whether the text is wanted."""

_ID = re.compile(r"[0-9A-Fa-f-]{16,36}")
_Leaf = Equal | Between | Like | Regex | Present


def condition(expression: Expression, fields: FieldMap, where: Conditions) -> str:
    """The expression over the table that `fields` describes; `FilterError` for a value that a column cannot have."""
    return _Compiler(fields, where).compile(expression)


class _Compiler:
    def __init__(self, fields: FieldMap, where: Conditions) -> None:
        self._fields = fields
        self._where = where

    def compile(self, term: Expression) -> str:
        if isinstance(term, And):
            return "(" + " AND ".join(map(self.compile, term.terms)) + ")" if term.terms else "1"
        if isinstance(term, Or):
            return "(" + " OR ".join(map(self.compile, term.terms)) + ")"
        if isinstance(term, Not):
            return f"NOT {self.compile(term.term)}"
        if isinstance(term, Words):
            return self._words(term)
        rule = self._fields.rule(term.key)
        if isinstance(term, Equal) and rule is not None:
            return rule(term, self._where)
        column = self._fields.column(term.key)
        return self._attribute(term) if column is None else self._column(term, column)

    # Columns

    def _column(self, term: _Leaf, column: Column) -> str:
        if column.kind == "level":
            return f"({self._level(term, column)})"
        if isinstance(term, Present):
            return f"({column.sql} != '')" if column.kind in ("text", "id", "choice") else "1"
        if isinstance(term, Like | Regex):
            return f"({self._shape(term)(f'toString({column.sql})', '')})"
        bind = _BINDINGS[column.kind]
        if isinstance(term, Equal):
            return f"({column.sql} = {bind(self._where, column, term.value)})"
        if column.kind in ("choice", "id", "bool"):
            raise FilterError(f"{term.key.full} has no order: ask for values, not for a range", term.key.at)
        return "(" + self._bounds(term, column.sql, lambda end: bind(self._where, column, end)) + ")"

    def _level(self, term: _Leaf, column: Column) -> str:
        """A word's range of numbers; a bound takes the end of it that includes or leaves out the whole word."""
        if isinstance(term, Present):
            return f"{column.sql} != 0"
        if isinstance(term, Like | Regex):
            raise FilterError(f"{term.key.full} is asked by its words: {', '.join(column.levels)}", term.key.at)
        if isinstance(term, Equal):
            least, greatest = _range_of(column, term.value)
            return f"{column.sql} BETWEEN {least} AND {greatest}"
        ends = []
        if term.low is not None:
            least, greatest = _range_of(column, term.low)
            ends.append(f"{column.sql} > {greatest}" if term.open_low else f"{column.sql} >= {least}")
        if term.high is not None:
            least, greatest = _range_of(column, term.high)
            ends.append(f"{column.sql} BETWEEN 1 AND {least - 1 if term.open_high else greatest}")
        return " AND ".join(ends)

    def _bounds(self, term: Between, sql: str, bind: Callable[[Text], str]) -> str:
        ends = []
        if term.low is not None:
            ends.append(f"{sql} {'>' if term.open_low else '>='} {bind(term.low)}")
        if term.high is not None:
            ends.append(f"{sql} {'<' if term.open_high else '<='} {bind(term.high)}")
        return " AND ".join(ends)

    # Attributes

    def _attribute(self, term: _Leaf) -> str:
        places = self._fields.places(term.key)
        if not places:
            raise FilterError(f"there are no attributes of scope {term.key.scope!r} here", term.key.at)
        if isinstance(term, Equal):
            return self._equal(term, places)
        if isinstance(term, Present):
            return self._anywhere(term.key, places, lambda _text, _type: "1")
        test = self._shape(term) if isinstance(term, Like | Regex) else self._within(term)
        return self._anywhere(term.key, places, test)

    def _equal(self, term: Equal, places: list[Attributes]) -> str:
        text = term.value.text
        stored = [text] if term.value.quoted else values.spellings(text)
        found = ""
        if self._fields.tokens:
            tokens = self._where.bind([token(term.key.name, spelling) for spelling in stored], "Array(String)")
            found = f"hasAnyTokens({self._fields.tokens}, {tokens})"
            everywhere = not term.key.scope
            certain = len(stored) == 1 and is_exact(text) and "=" not in term.key.name + text
            if everywhere and certain:
                return found
        exact = self._anywhere(term.key, places, self._same(term.value, stored))
        return f"({found} AND {exact})" if found else exact

    def _same(self, value: Text, stored: list[str]) -> _Test:
        wanted = self._where.bind(value.text)
        number = None if value.quoted else values.exact_number(value.text)
        if number is None or not self._fields.types:
            if len(stored) == 1:
                return lambda text, _type: f"{text} = {wanted}"
            among = self._where.bind(stored, "Array(String)")
            return lambda text, _type: f"has({among}, {text})"
        as_number = self._where.bind(number, "Float64")
        return lambda text, type_: (
            f"({text} = {wanted}"
            f" OR ({type_} IN ('int', 'double') AND ifNull(toFloat64OrNull({text}) = {as_number}, 0)))"
        )

    def _within(self, term: Between) -> _Test:
        """Bounds as numbers if all are, else as durations if all are, else as texts."""
        ends = [end for end in (term.low, term.high) if end is not None]
        if all(not end.quoted and values.number(end.text) is not None for end in ends):
            return lambda text, _type: self._ordered(term, f"toFloat64OrNull({text})", values.number)
        if all(not end.quoted and values.duration(end.text) is not None for end in ends):
            return lambda text, _type: self._ordered(term, _nanoseconds(text), values.duration)
        return lambda text, _type: self._bounds(term, text, lambda end: self._where.bind(end.text))

    def _ordered(self, term: Between, sql: str, parse: Callable[[str], float | int | None]) -> str:
        bounds = self._bounds(term, sql, lambda end: self._where.bind(float(parse(end.text) or 0), "Float64"))
        return f"ifNull({bounds}, 0)"

    def _shape(self, term: Like | Regex) -> _Test:
        if isinstance(term, Regex):
            pattern = self._where.bind(f"^(?s:{term.pattern})$")
            return lambda text, _type: f"match({text}, {pattern})"
        like = self._where.bind(_like(term.pattern))
        return lambda text, _type: f"{text} LIKE {like}"

    def _anywhere(self, key: Key, places: list[Attributes], test: _Test) -> str:
        name = self._where.bind(key.name)
        return "(" + " OR ".join([self._at(place, key, name, test) for place in places]) + ")"

    def _at(self, place: Attributes, key: Key, name: str, test: _Test) -> str:
        types = self._fields.types
        if not place.nested:
            type_ = f"{types}[{self._where.bind(place.types + key.name)}]" if types else "''"
            return f"(mapContains({place.sql}, {name}) AND {test(f'{place.sql}[{name}]', type_)})"
        type_ = f"{types}[concat('{place.types}', toString(i - 1), '.', {name})]" if types else "''"
        inside = f"mapContains(a, {name}) AND {test(f'a[{name}]', type_)}"
        return f"arrayExists((a, i) -> {inside}, {place.sql}, arrayEnumerate({place.sql}))"

    # Free words

    def _words(self, term: Words) -> str:
        if self._fields.lowered and not isinstance(term.wanted, Regex):
            return self._indexed_words(term.wanted)
        test = self._found_in(term.wanted)
        either = [test(text) for text in self._fields.words]
        if self._fields.words_in_values:
            for place in self._fields.attributes.values():
                listed = f"arrayExists(v -> {test('v')}, mapValues({'a' if place.nested else place.sql}))"
                either.append(f"arrayExists(a -> {listed}, {place.sql})" if place.nested else listed)
        return "(" + (" OR ".join(either) or "0") + ")"

    def _indexed_words(self, wanted: Text | Pattern) -> str:
        """By the text index: of the pattern in lower case, which is the engine's idea of it as the index is."""
        pieces = wanted.pieces if isinstance(wanted, Pattern) else (wanted.text,)
        like = self._where.bind(f"%{_like(Pattern(pieces))}%")
        either = [f"{self._fields.lowered} LIKE lowerUTF8({like})"]
        if isinstance(wanted, Text) and _ID.fullmatch(wanted.text):
            either += [f"{column} = {self._where.bind(wanted.text.lower())}" for column in self._fields.ids]
        return "(" + " OR ".join(either) + ")"

    def _found_in(self, wanted: Text | Pattern | Regex) -> Callable[[str], str]:
        if isinstance(wanted, Regex):
            pattern = self._where.bind(f"(?s:{wanted.pattern})")
            return lambda text: f"match({text}, {pattern})"
        if isinstance(wanted, Text):
            needle = self._where.bind(wanted.text)
            return lambda text: f"(positionCaseInsensitiveUTF8({text}, {needle}) > 0)"
        like = self._where.bind(f"%{_like(wanted)}%")
        return lambda text: f"({text} ILIKE {like})"


def _like(pattern: Pattern) -> str:
    marks = {Wildcard.MANY: "%", Wildcard.ONE: "_"}
    return "".join(
        marks[piece]
        if isinstance(piece, Wildcard)
        else piece.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        for piece in pattern.pieces
    )


def _nanoseconds(text: str) -> str:
    """SQL of a text such as `12.5ms` as nanoseconds; NULL for other texts."""
    units = [f"'{unit}'" for unit in values.DURATION_UNITS]
    sizes = [f"toFloat64({size})" for size in values.DURATION_UNITS.values()]
    unit = f"extract({text}, '^[0-9.]+(ns|us|µs|μs|ms|s|m|h|d)$')"
    return (
        f"toFloat64OrNull(extract({text}, '^([0-9.]+)[a-zµμ]+$'))"
        f" * transform({unit}, [{', '.join(units)}], [{', '.join(sizes)}], NULL)"
    )


def _bind_text(where: Conditions, _column: Column, value: Text) -> str:
    return where.bind(value.text)


def _bind_number(where: Conditions, _column: Column, value: Text) -> str:
    number = values.number(value.text)
    if number is None:
        raise FilterError(f"{value.text!r} is no number", value.at)
    return (
        where.bind(int(number), "Int64")
        if number.is_integer() and abs(number) < 2**63
        else where.bind(number, "Float64")
    )


def _bind_duration(where: Conditions, _column: Column, value: Text) -> str:
    nanoseconds = values.duration(value.text) if value.text != "0" else 0
    if nanoseconds is None:
        raise FilterError(f"{value.text!r} is no duration: write it with its unit, such as 250ms or 1.5s", value.at)
    return where.bind(nanoseconds, "Int64")


def _bind_choice(where: Conditions, column: Column, value: Text) -> str:
    stored = column.choices.get(value.text.lower())
    if stored is None:
        raise FilterError(f"{value.text!r} is none of {', '.join(column.choices)}", value.at)
    return where.bind(stored)


def _range_of(column: Column, value: Text) -> tuple[int, int]:
    """The least and the greatest number of a level's word, or of a number as it is written."""
    word = value.text.lower()
    if word not in column.levels and not (word.isdecimal() and len(word) < 4):
        raise FilterError(f"{value.text!r} is none of {', '.join(column.levels)}", value.at)
    return column.levels[word] if word in column.levels else (int(word), int(word))


def _bind_id(where: Conditions, column: Column, value: Text) -> str:
    return where.bind(value.text.lower().zfill(column.digits))


def _bind_bool(where: Conditions, _column: Column, value: Text) -> str:
    if value.text.lower() not in ("true", "false"):
        raise FilterError(f"{value.text!r} is neither true nor false", value.at)
    return where.bind(int(value.text.lower() == "true"), "UInt8")


_BINDINGS: dict[str, Callable[[Conditions, Column, Text], str]] = {
    "text": _bind_text,
    "number": _bind_number,
    "duration": _bind_duration,
    "choice": _bind_choice,
    "id": _bind_id,
    "bool": _bind_bool,
}
