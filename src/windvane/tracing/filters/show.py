"""Expression to text: what `parse` reads as the same expression again."""

from __future__ import annotations

from windvane.tracing.filters.ast import (
    SCOPES,
    And,
    Between,
    Equal,
    Expression,
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

_KEY_MARKS = set('():=<>~!"\\')
_ESCAPED = set('\\"*?()[]{}/-!&|<>=~:')


def show(expression: Expression) -> str:
    """The text of an expression."""
    if isinstance(expression, And):
        return " ".join(_within(term, And) for term in expression.terms)
    if isinstance(expression, Or):
        return " OR ".join(_within(term, Or) for term in expression.terms)
    if isinstance(expression, Not):
        return "-" + _within(expression.term, Not)
    if isinstance(expression, Words):
        return _wanted(expression.wanted)
    return _key(expression.key) + _condition(expression)


def _within(term: Expression, around: type) -> str:
    if term == And(()):
        return "*"
    loose = isinstance(term, And | Or) or (isinstance(term, Not) and around is Not)
    return f"({show(term)})" if loose else show(term)


def _condition(term: Equal | Between | Like | Regex | Present) -> str:
    if isinstance(term, Equal):
        return ":" + _text(term.value)
    if isinstance(term, Like):
        return ":" + _pattern(term.pattern)
    if isinstance(term, Regex):
        return "~" + _quote(term.pattern)
    return _range(term) if isinstance(term, Between) else ":*"


def _range(term: Between) -> str:
    if term.high is None and term.low is not None:
        return (">" if term.open_low else ">=") + _text(term.low)
    if term.low is None and term.high is not None:
        return ("<" if term.open_high else "<=") + _text(term.high)
    opening, closing = "{" if term.open_low else "[", "}" if term.open_high else "]"
    ends = [_text(end) if end is not None else "*" for end in (term.low, term.high)]
    return f":{opening}{ends[0]} TO {ends[1]}{closing}"


def _wanted(wanted: Text | Pattern | Regex) -> str:
    if isinstance(wanted, Regex):
        return "/" + wanted.pattern.replace("/", "\\/") + "/"
    return _pattern(wanted) if isinstance(wanted, Pattern) else _text(wanted)


def _key(key: Key) -> str:
    scope = f"{key.scope}." if key.scope else ""
    if key.quoted:
        return scope + _quote(key.name)
    head, dot, rest = key.name.partition(".")
    odd = _KEY_MARKS & set(key.name) or any(c.isspace() for c in key.name) or key.name[:1] in {"-", "/", "*", "?", "&"}
    taken = not key.scope and head in SCOPES and dot and rest
    if odd or taken:
        return scope + "".join("\\" + c if c in _KEY_MARKS or c.isspace() or c in "-/&|*?" else c for c in key.name)
    return scope + key.name


def _text(value: Text) -> str:
    return _quote(value.text) if value.quoted else _escaped(value.text)


def _pattern(pattern: Pattern) -> str:
    return "".join(piece.value if isinstance(piece, Wildcard) else _escaped(piece) for piece in pattern.pieces)


def _escaped(text: str) -> str:
    if text in ("AND", "OR", "NOT", "TO"):
        return "\\" + text
    return "".join("\\" + c if c in _ESCAPED or c.isspace() else c for c in text)


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
