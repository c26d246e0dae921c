"""The values that templates work with, and how Go names and prints them.

A string is `str`, float64 `float`, int `int`, bool `bool`; a map[string]string is a `LabelMap`, any
other map a `dict`, a slice a `list`. `NO_VALUE` is what a missing entry of an untyped map gives.
"""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from typing import Any, Final

from windvane.alerting.gofloat import shortest


class LabelMap(dict[str, str]):
    """A map from strings to strings: an absent name has the value ''."""


class NoValue:
    """The absence of a value; printed as `<no value>`."""

    def __bool__(self) -> bool:
        return False


NO_VALUE: Final = NoValue()


@dataclass(frozen=True, slots=True)
class Sample:
    """One element of a query's result: `Labels` and `Value`, as templates name them."""

    Labels: LabelMap
    Value: float


@dataclass(frozen=True, slots=True)
class Data:
    """The dot of an alert's template."""

    Labels: LabelMap
    ExternalLabels: LabelMap
    ExternalURL: str
    Value: float | str


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, with nanoseconds, in UTC."""

    ns: int

    def __str__(self) -> str:
        seconds, rest = divmod(self.ns, 1_000_000_000)
        moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=seconds)
        fraction = f".{rest:09d}".rstrip("0") if rest else ""
        return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"

    @property
    def datetime(self) -> datetime.datetime:
        """With microseconds only."""
        return datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(microseconds=self.ns // 1_000)


@dataclass(frozen=True, slots=True)
class Span:
    """A duration in nanoseconds."""

    ns: int

    def __str__(self) -> str:
        """As Go prints a time.Duration: `1h2m3.5s`, `1.5ms`."""
        size = abs(self.ns)
        sign = "-" if self.ns < 0 else ""
        if size < 1_000_000_000:
            for unit, scale in (("ms", 1_000_000), ("µs", 1_000), ("ns", 1)):
                if size >= scale:
                    return f"{sign}{_trimmed(size, scale)}{unit}"
            return "0s"
        minutes, rest = divmod(size, 60_000_000_000)
        seconds = f"{_trimmed(rest, 1_000_000_000)}s"
        hours, minutes = divmod(minutes, 60)
        if hours:
            return f"{sign}{hours}h{minutes}m{seconds}"
        return f"{sign}{minutes}m{seconds}" if minutes else f"{sign}{seconds}"


def _trimmed(amount: int, scale: int) -> str:
    whole, rest = divmod(amount, scale)
    digits = str(rest).zfill(len(str(scale)) - 1).rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


def type_name(value: Any) -> str:  # noqa: PLR0911 - a case a type
    """The value's type as Go's messages name it."""
    match value:
        case None | NoValue():
            return "<nil>"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float64"
        case str():
            return "string"
        case LabelMap():
            return "map[string]string"
        case dict():
            return "map[string]interface {}"
        case list():
            return "template.queryResult"
        case Sample():
            return "*template.sample"
        case Moment():
            return "*time.Time"
        case Span():
            return "*time.Duration"
        case _:
            return (
                "struct { Labels map[string]string; ExternalLabels map[string]string; "
                "ExternalURL string; Value interface {} }"
            )


def text_of(value: Any) -> str:  # noqa: PLR0911 - a case a type
    """The value as Go's fmt prints it with %v."""
    match value:
        case NoValue() | None:
            return "<nil>" if value is None else "<no value>"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return shortest(value)
        case str() | Moment() | Span():
            return str(value)
        case dict():
            return "map[" + " ".join(f"{key}:{text_of(value[key])}" for key in sorted(value)) + "]"
        case list() | tuple():
            return "[" + " ".join(text_of(one) for one in value) + "]"
        case Sample():
            return f"{{{text_of(value.Labels)} {text_of(value.Value)}}}"
        case Data():
            parts = (value.Labels, value.ExternalLabels, value.ExternalURL, value.Value)
            return "{" + " ".join(map(text_of, parts)) + "}"
        case _:
            return str(value)


def is_true(value: Any) -> bool:
    """Whether a value counts as true: not the zero of its type, not empty."""
    if isinstance(value, float) and math.isnan(value):
        return True
    return not isinstance(value, NoValue) and (isinstance(value, Sample | Data | Moment) or bool(value))
