"""Parameters of Prometheus's API as its own server reads them: times, durations, numbers, selectors.

What is accepted and what a refusal says follow Go's `strconv` and `time` packages and Prometheus's
`web/api/v1`. Times are kept in milliseconds, as the store keeps them.
"""

from __future__ import annotations

import calendar
import datetime
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from windvane.promql import numbers
from windvane.promql.errors import ParseError, QueryError
from windvane.promql.parse import parse_selector, round_half_away
from windvane.promql.quoting import quote
from windvane.promql.syntax import Selector

_T = TypeVar("_T")

EARLIEST, LATEST = -(1 << 53), 1 << 53
"""Where a time window that was not given begins and ends, in milliseconds."""
_BOUNDS = {"-292273086-05-16T16:47:06Z": EARLIEST, "292277025-08-18T07:12:54.999999999Z": LATEST}
_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII)
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
_DURATION_MS = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1_000, 1)
_BETWEEN = re.compile(r"(?<=[0-9a-fA-F])_(?=[0-9a-fA-F])")
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_LONGEST_SECONDS = 2**63 / 1e9
_MAX_SECONDS = 2**53 / 1000


@dataclass(frozen=True, slots=True)
class Params:
    """Parameters of one request; `cancelled` is set once nobody waits for the answer any more."""

    values: Mapping[str, list[str]]
    path: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def text(self, name: str) -> str:
        """The first value, '' when absent."""
        return next(iter(self.values.get(name, ())), "")

    def all(self, name: str) -> list[str]:
        """Every value."""
        return list(self.values.get(name, ()))

    def time(self, name: str, default: int) -> int:
        """A time in milliseconds, given as Unix seconds or RFC 3339."""
        try:
            return time_ms(self.text(name)) if self.text(name) else default
        except ValueError as error:
            raise QueryError(f"invalid parameter {quote(name)}: Invalid time value for '{name}': {error}") from None

    def required_time(self, name: str) -> int:
        """A time in milliseconds that must be given."""
        return self._read(name, time_ms)

    def duration(self, name: str, default: float | None = None) -> float | None:
        """Seconds, given as a number or a duration."""
        return self._read(name, duration_seconds) if self.text(name) else default

    def required_duration(self, name: str) -> float:
        """Seconds that must be given."""
        return self._read(name, duration_seconds)

    def limit(self) -> int:
        """How many results at most; 0 means all."""
        return self._read("limit", _limit) if self.text("limit") else 0

    def number(self, name: str, default: int) -> int:
        """A whole number; a refusal does not say what was given (as `/metadata` and `/status/tsdb` answer)."""
        if not self.text(name):
            return default
        try:
            return integer(self.text(name))
        except ValueError:
            raise QueryError(f"{name} must be a number") from None

    def selectors(self, name: str = "match[]") -> list[Selector]:
        """Series selectors; each must have a matcher that '' does not satisfy."""
        return [_selector(text) for text in self.all(name)]

    def _read(self, name: str, read: Callable[[str], _T]) -> _T:
        try:
            return read(self.text(name))
        except ValueError as error:
            raise QueryError(f"invalid parameter {quote(name)}: {error}") from None


@contextmanager
def named(name: str) -> Iterator[None]:
    """Says which parameter bad data is about."""
    try:
        yield
    except QueryError as error:
        if error.error_type == "bad_data":
            error.message = f"invalid parameter {quote(name)}: {error.message}"
        raise


def time_ms(text: str) -> int:
    """Milliseconds of a time in Unix seconds or RFC 3339; `ValueError` says what does not parse."""
    seconds = _number(text)
    if seconds is not None and abs(seconds) < _MAX_SECONDS:
        return round_half_away(seconds * 1000)
    if text in _BOUNDS:
        return _BOUNDS[text]
    match = _RFC3339.fullmatch(text) if seconds is None else None
    try:
        if match is not None:
            return _moment(match)
    except ValueError:
        pass  # a day that no month has
    raise ValueError(f"cannot parse {quote(text)} to a valid timestamp")


def duration_seconds(text: str) -> float:
    """Seconds of a number or of a duration such as `1h30m`; `ValueError` says what does not parse."""
    seconds = _number(text)
    if seconds is not None and not math.isnan(seconds):
        if abs(seconds) >= _LONGEST_SECONDS:
            raise ValueError(f"cannot parse {quote(text)} to a valid duration. It overflows int64")
        return seconds
    match = _DURATION.fullmatch(text) if text else None
    if match is not None:
        total = sum(int(part or 0) * unit for part, unit in zip(match.groups(), _DURATION_MS, strict=True))
        if total * 1_000_000 < 2**63:
            return total / 1000
    raise ValueError(f"cannot parse {quote(text)} to a valid duration")


def integer(text: str) -> int:
    """A number as Go's `strconv.Atoi` reads it and complains of it."""
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"strconv.Atoi: parsing {quote(text)}: invalid syntax")
    if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
        raise ValueError(f"strconv.Atoi: parsing {quote(text)}: value out of range")
    return int(text)


def milliseconds(seconds: float) -> int:
    """Seconds as whole milliseconds."""
    return round_half_away(seconds * 1000)


def _selector(text: str) -> Selector:
    try:
        return parse_selector(text)
    except ParseError as error:
        if error.reason.endswith("must contain at least one non-empty matcher"):
            raise QueryError("match[] must contain at least one non-empty matcher") from None
        raise


def _number(text: str) -> float | None:
    """A number as Go's ParseFloat reads it: `_` may stand between digits."""
    return numbers.parse(_BETWEEN.sub("", text))


def _limit(text: str) -> int:
    limit = integer(text)
    if limit < 0:
        raise ValueError("limit must be non-negative")
    return limit


def _moment(match: re.Match[str]) -> int:
    """Milliseconds of a matched RFC 3339 time; what is below a millisecond is cut off."""
    year, month, day, hour, minute, second, fraction, sign, zone_hours, zone_minutes = match.groups()
    moment = datetime.datetime(
        int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=datetime.UTC
    )
    zone = (int(zone_hours) * 60 + int(zone_minutes)) * (-1 if sign == "-" else 1) if sign else 0
    seconds = calendar.timegm(moment.timetuple()) - 60 * zone
    return seconds * 1000 + int(((fraction or "") + "000")[:3])
