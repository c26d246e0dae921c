"""A query evaluated over one span in plain Python: the meaning that the SQL must have."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from telemetry_rows import text_of

from windvane.tracing.filters import ast, values
from windvane.tracing.model import Attributes, Span

Value = tuple[str, str]  # text as stored, type


def holds(term: ast.Expression, span: Span) -> bool:
    """Whether the span satisfies the expression."""
    match term:
        case ast.And(terms):
            return all(holds(part, span) for part in terms)
        case ast.Or(terms):
            return any(holds(part, span) for part in terms)
        case ast.Not(inner):
            return not holds(inner, span)
        case ast.Words(wanted):
            return any(_contains(text, wanted) for text in _texts(span))
    column = None if term.key.quoted else COLUMNS.get(term.key.full)
    return _column(term, *column, span) if column else any(_matches(term, value) for value in _values(term.key, span))


def _service(name: str, span: Span) -> bool:
    app, dot, namespace = name.partition(".")
    if span.service == name:
        return True
    if not dot:
        return span.service.startswith(name + ".") and span.service.count(".") == 1
    spaces = (
        span.resource.get("k8s.namespace.name"),
        span.resource.get("service.namespace"),
        span.attributes.get("istio.namespace"),
    )
    return span.service == app and namespace in spaces


COLUMNS: dict[str, tuple[str, Callable[[Span], object]]] = {
    "service": ("service", lambda span: span.service),
    "name": ("text", lambda span: span.name),
    "kind": ("choice", lambda span: span.kind.lower()),
    "status": ("choice", lambda span: span.status.lower()),
    "duration": ("duration", lambda span: span.duration_ns),
    "scope.name": ("text", lambda span: span.scope_name),
    "error": ("error", lambda span: span.status == "Error" or "true" in _error_values(span)),
}


def _error_values(span: Span) -> set[str]:
    return {text for text, _ in _values(ast.Key("error"), span)}


def _column(term: ast.Expression, kind: str, read: Callable[[Span], object], span: Span) -> bool:
    stored = read(span)
    if isinstance(term, ast.Equal):
        if kind == "service":
            return _service(term.value.text, span)
        if kind == "error":
            return stored == (term.value.text == "true")
        if kind == "duration":
            return stored == values.duration(term.value.text)
        return stored == (term.value.text.lower() if kind == "choice" else term.value.text)
    if isinstance(term, ast.Present):
        return kind == "duration" or stored != ""
    if isinstance(term, ast.Between) and kind == "duration":
        low = values.duration(term.low.text) if term.low else None
        high = values.duration(term.high.text) if term.high else None
        return _inside(stored, low, high, term)
    return _matches(term, (str(stored).capitalize() if kind == "choice" else str(stored), ""))


def _values(key: ast.Key, span: Span) -> Iterator[Value]:
    scopes: dict[str, list[Attributes]] = {
        "span": [span.attributes], "resource": [span.resource], "scope": [span.scope],
        "event": [event.attributes for event in span.events], "link": [link.attributes for link in span.links],
    }  # fmt: skip
    for scope, places in scopes.items():
        if key.scope in ("", scope):
            yield from (text_of(place[key.name]) for place in places if key.name in place)


def _matches(term: ast.Expression, value: Value) -> bool:
    text, kind = value
    match term:
        case ast.Present():
            return True
        case ast.Equal(_, wanted):
            if text == wanted.text or (
                not wanted.quoted and wanted.text.lower() in ("true", "false") and text == wanted.text.lower()
            ):
                return True
            number = None if wanted.quoted else values.number(wanted.text)
            return number is not None and kind in ("int", "double") and float(text) == number
        case ast.Like(_, pattern):
            return re.fullmatch(_shape(pattern), text, re.DOTALL) is not None
        case ast.Regex(_, pattern):
            return re.fullmatch(pattern, text, re.DOTALL) is not None
        case ast.Between(_, low, high):
            return _between(text, low, high, term)
    raise AssertionError(term)


def _between(text: str, low: ast.Text | None, high: ast.Text | None, term: ast.Between) -> bool:
    ends = [end for end in (low, high) if end is not None]
    for parse, read in ((values.number, _float), (values.duration, values.duration)):
        if all(not end.quoted and parse(end.text) is not None for end in ends):
            stored = read(text)
            bounds = [None if end is None else parse(end.text) for end in (low, high)]
            return stored is not None and _inside(stored, *bounds, term)
    return _inside(text, low and low.text, high and high.text, term)


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _inside(stored, low, high, term: ast.Between) -> bool:
    above = low is None or (stored > low if term.open_low else stored >= low)
    return above and (high is None or (stored < high if term.open_high else stored <= high))


def _shape(pattern: ast.Pattern) -> str:
    return "".join(
        {"*": ".*", "?": "."}[piece.value] if isinstance(piece, ast.Wildcard) else re.escape(piece)
        for piece in pattern.pieces
    )


def _texts(span: Span) -> list[str]:
    every = [span.attributes, span.resource, span.scope, *(e.attributes for e in span.events)]
    every += [link.attributes for link in span.links]
    return [span.name, span.status_message, *(text_of(v)[0] for place in every for v in place.values())]


def _contains(text: str, wanted: ast.Text | ast.Pattern | ast.Regex) -> bool:
    if isinstance(wanted, ast.Regex):
        return re.search(wanted.pattern, text, re.DOTALL) is not None
    if isinstance(wanted, ast.Pattern):
        return re.search(_shape(wanted), text, re.DOTALL | re.IGNORECASE) is not None
    return wanted.text.lower() in text.lower()
