"""Go's fmt verbs on template values: `printf`, and the rules of `print` and `println`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from windvane.alerting.gofloat import shortest
from windvane.alerting.template.errors import WrongTypeError
from windvane.alerting.template.tokens import quoted
from windvane.alerting.template.values import Moment, NoValue, Sample, Span, text_of, type_name

_VERB = re.compile(r"%([-+# 0]*)(?:\[(\d+)\])?(\*|\d+)?(?:\.(\*|\d+)?)?(?:\[(\d+)\])?(.)", re.DOTALL)
_WIDEST = 10_000
_BASES = {"d": "d", "b": "b", "o": "o", "x": "x", "X": "X"}


def sprint(values: Sequence[Any]) -> str:
    """Values after each other, a space between two that are not strings."""
    pieces: list[str] = []
    for place, value in enumerate(values):
        if place and not isinstance(value, str) and not isinstance(values[place - 1], str):
            pieces.append(" ")
        pieces.append(text_of(value))
    return "".join(pieces)


def sprintln(values: Sequence[Any]) -> str:
    """Values with a space between all of them, and a line's end."""
    return " ".join(map(text_of, values)) + "\n"


def sprintf(template: str, values: Sequence[Any]) -> str:
    """Go's fmt.Sprintf; what does not fit is shown in the result (`%!d(float64=1.5)`), as Go does."""
    return _Printer(values).format(template)


class _Printer:
    def __init__(self, values: Sequence[Any]) -> None:
        self._values = values
        self._next = 0
        self._reordered = False

    def format(self, template: str) -> str:
        pieces: list[str] = []
        position = 0
        while (percent := template.find("%", position)) >= 0:
            pieces.append(template[position:percent])
            match = _VERB.match(template, percent)
            if match is None:
                pieces.append("%!(NOVERB)")
                position = len(template)
                break
            pieces.append(self._one(match))
            position = match.end()
        pieces.append(template[position:])
        if not self._reordered and self._next < len(self._values):
            extra = ", ".join(_typed(value) for value in self._values[self._next :])
            pieces.append(f"%!(EXTRA {extra})")
        return "".join(pieces)

    def _one(self, match: re.Match[str]) -> str:
        flags, first_index, width_text, precision_text, second_index, verb = match.groups()
        width = self._amount(width_text)
        precision = self._amount(precision_text)
        has_point = "." in match[0][: match.start(6) - match.start()]
        if has_point and precision is None:
            precision = 0
        if verb == "%":
            return "%"
        for index in (first_index, second_index):
            if index is not None:
                self._next, self._reordered = int(index) - 1, True
        if not 0 <= self._next < len(self._values):
            return f"%!{verb}({'BADINDEX' if self._reordered else 'MISSING'})"
        value = self._values[self._next]
        self._next += 1
        if width is not None and width < 0:
            flags, width = flags + "-", -width
        text = _verb(value, verb, flags, precision)
        if text is None:
            return f"%!{verb}({_typed(value)})"
        return _padded(text, flags, width or 0, numeric=isinstance(value, int | float))

    def _amount(self, text: str | None) -> int | None:
        if text is None:
            return None
        if text == "*":
            value = self._values[self._next] if self._next < len(self._values) else None
            self._next += 1
            return max(-_WIDEST, min(value, _WIDEST)) if isinstance(value, int) else None
        return min(int(text[:6]), _WIDEST)


def _typed(value: Any) -> str:
    return "<nil>" if value is None or isinstance(value, NoValue) else f"{type_name(value)}={text_of(value)}"


def _padded(text: str, flags: str, width: int, *, numeric: bool) -> str:
    if len(text) >= width:
        return text
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags and numeric and text[-1:].isdigit():
        sign = text[0] if text[0] in "+-" else ""
        return sign + text[len(sign) :].rjust(width - len(sign), "0")
    return text.rjust(width)


def _verb(value: Any, verb: str, flags: str, precision: int | None) -> str | None:  # noqa: PLR0911 - a case a type
    """The value under a verb, not padded; None when the verb is not for such a value."""
    if verb == "T":
        return type_name(value)
    if verb == "v":
        if isinstance(value, float):
            return _float(value, "g", flags, precision)
        return quoted(value) if "#" in flags and isinstance(value, str) else text_of(value)
    match value:
        case bool():
            return text_of(value) if verb == "t" else None
        case int():
            return _integer(value, verb, flags)
        case float():
            return _float(value, verb, flags, precision) if verb in "eEfFgG" else None
        case str():
            return _string(value, verb, flags, precision)
        case Moment() | Span():
            return text_of(value) if verb == "s" else None
        case list() | dict():
            return _composite(value, verb, flags, precision)
        case Sample():
            inner = [_verb(part, verb, flags, precision) or f"%!{verb}({_typed(part)})"
                     for part in (value.Labels, value.Value)]  # fmt: skip
            return "{" + " ".join(inner) + "}"
        case _:
            return None


def _composite(value: list[Any] | dict[str, Any], verb: str, flags: str, precision: int | None) -> str:
    def shown(one: Any) -> str:
        text = _verb(one, verb, flags, precision)
        return f"%!{verb}({_typed(one)})" if text is None else text

    if isinstance(value, list):
        return "[" + " ".join(map(shown, value)) + "]"
    return "map[" + " ".join(f"{shown(key)}:{shown(value[key])}" for key in sorted(value)) + "]"


def _integer(value: int, verb: str, flags: str) -> str | None:
    sign = "-" if value < 0 else "+" if "+" in flags else " " if " " in flags else ""
    if verb in _BASES:
        prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(verb, "") if "#" in flags else ""
        return f"{sign}{prefix}{abs(value):{_BASES[verb]}}"
    if verb in "cqU":
        known = chr(value) if 0 <= value <= 0x10FFFF and not 0xD800 <= value < 0xE000 else "\ufffd"
        return {"c": known, "q": f"'{known}'", "U": f"U+{value:04X}"}[verb]
    return None


def _string(value: str, verb: str, flags: str, precision: int | None) -> str | None:
    if precision is not None:
        value = value[:precision]
    if verb == "s":
        return value
    if verb == "q":
        return quoted(value)
    if verb in "xX":
        raw = value.encode(errors="replace")
        digits = raw.hex(" ") if " " in flags else raw.hex()
        return digits.upper() if verb == "X" else digits
    return None


def _float(value: float, verb: str, flags: str, precision: int | None) -> str:
    plus = "+" if "+" in flags else " " if " " in flags else ""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "-Inf" if value < 0 else "+Inf"
    sign = plus if math.copysign(1, value) > 0 else ""
    if precision is None:
        text = shortest(value) if verb in "gG" else f"{value:.6{verb}}"
    else:
        text = f"{value:.{max(precision, 1)}{verb}}" if verb in "gG" else f"{value:.{precision}{verb}}"
    return sign + (text.upper() if verb in "EG" else text)


def general(value: float, precision: int) -> str:
    """A float as Go's `%.Ng` prints it."""
    return _float(value, "g", "", precision)


def need(value: Any, kind: type, name: str) -> Any:
    """The value if it is of this type; otherwise the error of a call that was given another one."""
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise WrongTypeError(value, name, type_name(value))
    return value
