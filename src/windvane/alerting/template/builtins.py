"""The functions every Go template has, except `and`, `or` and `call`-like forms the executor handles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

from windvane.alerting.template.errors import CallError
from windvane.alerting.template.formatting import need, sprint, sprintf, sprintln
from windvane.alerting.template.values import NO_VALUE, LabelMap, NoValue, is_true, text_of, type_name

_HTML = str.maketrans({"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"})
_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}


def html(*values: Any) -> str:
    """The values printed and escaped for HTML."""
    return _printed(values).translate(_HTML)


def js(*values: Any) -> str:
    """The values printed and escaped for a JavaScript string."""
    return "".join(
        _JS.get(one)
        or (f"\\u{ord(one):04X}" if ord(one) < 0x20 or (ord(one) > 0x7F and not one.isprintable()) else one)
        for one in _printed(values)
    )


def urlquery(*values: Any) -> str:
    """The values printed and escaped for a URL's query."""
    return quote_plus(_printed(values), errors="replace")


def _printed(values: tuple[Any, ...]) -> str:
    return values[0] if len(values) == 1 and isinstance(values[0], str) else sprint(values)


def length(value: Any) -> int:
    """The number of bytes of a string or entries of a map or list."""
    if isinstance(value, str):
        return len(value.encode(errors="replace"))
    if isinstance(value, dict | list):
        return len(value)
    if value is None or isinstance(value, NoValue):
        raise CallError("len of nil pointer")
    raise CallError(f"len of type {type_name(value)}")


def index(value: Any, *keys: Any) -> Any:
    """`index x 1 2` is x[1][2]."""
    if value is None or isinstance(value, NoValue):
        raise CallError("index of untyped nil")
    for key in keys:
        value = _entry(value, key)
    return value


def _entry(value: Any, key: Any) -> Any:
    if isinstance(value, dict):
        if not isinstance(key, str):
            raise CallError(f"value has type {type_name(key)}; should be string")
        return value.get(key, "" if isinstance(value, LabelMap) else NO_VALUE)
    if not isinstance(value, str | list):
        raise CallError(f"can't index item of type {type_name(value)}")
    if isinstance(key, bool) or not isinstance(key, int):
        raise CallError(f"cannot index slice/array with type {type_name(key)}")
    if not 0 <= key < length(value):
        raise CallError(f"index out of range: {key}")
    return value.encode(errors="replace")[key] if isinstance(value, str) else value[key]


def part(value: Any, *bounds: Any) -> Any:
    """`slice x 1 2` is x[1:2]; strings are cut at bytes."""
    if not isinstance(value, str | list):
        raise CallError(f"can't slice item of type {type_name(value)}")
    if len(bounds) > (2 if isinstance(value, str) else 3):
        few = "cannot 3-index slice a string" if isinstance(value, str) else f"too many slice indexes: {len(bounds)}"
        raise CallError(few)
    size = length(value)
    for bound in bounds:
        if isinstance(bound, bool) or not isinstance(bound, int):
            raise CallError(f"cannot index slice/array with type {type_name(bound)}")
        if not 0 <= bound <= size:
            raise CallError(f"index out of range: {bound}")
    start = bounds[0] if bounds else 0
    end = bounds[1] if len(bounds) > 1 else size
    if start > end:
        raise CallError(f"invalid slice index: {start} > {end}")
    if isinstance(value, str):
        return value.encode(errors="replace")[start:end].decode(errors="replace")
    return value[start:end]


def negated(value: Any) -> bool:
    """`not x`."""
    return not is_true(value)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind.__name__
    if isinstance(value, dict | list):
        raise CallError(f"non-comparable type {text_of(value)}: {type_name(value)}")
    raise CallError("invalid type for comparison")


def equal(first: Any, *others: Any) -> bool:
    """`eq x a b …`: whether x is one of the others; an integer is not comparable with a float."""
    if not others:
        raise CallError("missing argument for comparison")
    nil = first is None or isinstance(first, NoValue)
    for other in others:
        if nil or other is None or isinstance(other, NoValue):
            if nil and (other is None or isinstance(other, NoValue)):
                return True
            continue
        if _kind(first) != _kind(other):
            raise CallError("incompatible types for comparison")
        if first == other:
            return True
    return False


def unequal(first: Any, second: Any) -> bool:
    """`ne`."""
    return not equal(first, second)


def less(first: Any, second: Any) -> bool:
    """`lt`."""
    kind = _kind(first)
    if kind != _kind(second):
        raise CallError("incompatible types for comparison")
    if kind == "bool":
        raise CallError("invalid type for comparison")
    return bool(first < second)


def less_or_equal(first: Any, second: Any) -> bool:
    """`le`."""
    return less(first, second) or equal(first, second)


def greater(first: Any, second: Any) -> bool:
    """`gt`: not `le`, as in Go."""
    return not less_or_equal(first, second)


def greater_or_equal(first: Any, second: Any) -> bool:
    """`ge`: not `lt`, as in Go."""
    return not less(first, second)


def printf(template: Any, *values: Any) -> str:
    """`printf`."""
    return sprintf(need(template, str, "string"), values)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "html": html,
    "js": js,
    "urlquery": urlquery,
    "len": length,
    "index": index,
    "slice": part,
    "not": negated,
    "eq": equal,
    "ne": unequal,
    "lt": less,
    "le": less_or_equal,
    "gt": greater,
    "ge": greater_or_equal,
    "print": lambda *values: sprint(values),
    "println": lambda *values: sprintln(values),
    "printf": printf,
}
SPECIAL = ("and", "or")
"""Evaluated one argument after the other by the executor."""
