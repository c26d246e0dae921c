"""Go's reference-time layouts (`2006-01-02T15:04:05Z07:00`) applied to a time in UTC."""

from __future__ import annotations

import re

from windvane.alerting.template.values import Moment

_PART = re.compile(
    r"January|Jan|Monday|Mon|MST|2006|-07:00:00|-070000|-07:00|-0700|-07|Z07:00:00|Z070000|Z07:00|Z0700|Z07"
    r"|[.,]0+(?!\d)|[.,]9+(?!\d)|002|01|02|03|04|05|06|15|PM|pm|__2|_2|1|2|3|4|5"
)
_DIRECTIVES = {
    "January": "%B", "Jan": "%b", "Monday": "%A", "Mon": "%a", "01": "%m", "02": "%d", "03": "%I", "04": "%M",
    "05": "%S", "06": "%y", "002": "%j", "15": "%H", "PM": "%p",
}  # fmt: skip
_PLAIN = {"1": "%m", "2": "%d", "3": "%I", "4": "%M", "5": "%S"}


def format_time(moment: Moment, layout: str) -> str:
    """A time as Go's `Time.Format` writes it."""
    at = moment.datetime

    def shown(match: re.Match[str]) -> str:  # noqa: PLR0911 - a case a part
        part = match[0]
        if part in _DIRECTIVES:
            return at.strftime(_DIRECTIVES[part])
        if part in _PLAIN:
            return at.strftime(_PLAIN[part]).lstrip("0") or "0"
        if part == "2006":
            return f"{at.year:04d}"
        if part in ("_2", "__2"):
            return str(at.day if part == "_2" else at.timetuple().tm_yday).rjust(len(part))
        if part == "pm":
            return at.strftime("%p").lower()
        if part == "MST":
            return "UTC"
        if part[0] == "Z":
            return "Z"
        if part[0] == "-":
            return "+" + part[1:].replace("7", "0")
        return _fraction(moment.ns % 1_000_000_000, part)

    return _PART.sub(shown, layout)


def _fraction(ns: int, part: str) -> str:
    digits = f"{ns:09d}"[: len(part) - 1].ljust(len(part) - 1, "0")
    if part[1] == "9":
        digits = digits.rstrip("0")
        return part[0] + digits if digits else ""
    return part[0] + digits
