"""Names of OpenTelemetry metrics and attributes as Prometheus's OTLP receiver writes them.

The rules are those of https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
in the strategies of Prometheus's setting `otlp.translation_strategy`: are characters outside
[a-zA-Z0-9_:] replaced by underscores, and do units and types become suffixes?
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache

from windvane.kit.errors import BadInputError

GAUGE, SUM, COUNTER, HISTOGRAM, EXPONENTIAL, SUMMARY = range(6)
"""Kinds of metrics; SUM is one that may fall."""


class Strategy(Enum):
    """Prometheus's translation strategies; the first is its default."""

    UNDERSCORE_ESCAPING_WITH_SUFFIXES = "UnderscoreEscapingWithSuffixes"
    UNDERSCORE_ESCAPING_WITHOUT_SUFFIXES = "UnderscoreEscapingWithoutSuffixes"
    NO_UTF8_ESCAPING_WITH_SUFFIXES = "NoUTF8EscapingWithSuffixes"
    NO_TRANSLATION = "NoTranslation"

    @property
    def escapes(self) -> bool:
        """Are characters beyond the classic ones replaced?"""
        return self.value.startswith("Underscore")

    @property
    def suffixes(self) -> bool:
        """Do units and types become suffixes?"""
        return self.value.endswith("WithSuffixes")


_UNITS = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
    "ns": "nanoseconds", "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
    "TiBy": "tibibytes", "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
    "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius",
    "Hz": "hertz", "1": "", "%": "percent",
}  # fmt: skip
_PER_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}

_WORDS = re.compile(r"[a-zA-Z0-9:]+")
_NOT_IN_METRIC = re.compile(r"[^a-zA-Z0-9:_]+")
_NOT_IN_UNIT = re.compile(r"[^a-zA-Z0-9:]+")
_NOT_IN_LABEL = re.compile(r"[^a-zA-Z0-9_]")


@lru_cache(maxsize=16_384)
def metric_name(name: str, unit: str, kind: int, strategy: Strategy) -> str:
    """The metric family's name; `BadInputError` when nothing is left of it."""
    if not strategy.escapes:
        made = _with_suffixes(name, unit, kind) if strategy.suffixes else name
    elif strategy.suffixes:
        made = _from_words(name, unit, kind)
    else:
        made = "_".join(part for part in _NOT_IN_METRIC.split(name) if part)
    if strategy.escapes and made[:1].isdigit():
        made = f"_{made}"
    if not made or (made != name and not made.strip("_")):
        raise BadInputError(f"nothing is left of the metric name {name!r}")
    return made


@lru_cache(maxsize=16_384)
def label_name(name: str, strategy: Strategy) -> str:
    """The label of an attribute; `BadInputError` when nothing is left of it."""
    made = name
    if strategy.escapes and name:
        made = _NOT_IN_LABEL.sub("_", name)
        if made[0].isdigit():
            made = f"key_{made}"
        elif made.startswith("_") and not made.startswith("__"):
            made = f"key{made}"
    if not made or (made != name and not made.strip("_")):
        raise BadInputError(f"nothing is left of the attribute name {name!r}")
    return made


def unit_name(unit: str, strategy: Strategy) -> str:
    """A unit as metadata names it: `By/s` is bytes_per_second."""
    parts = _unit_parts(unit)
    if strategy.escapes:
        parts = [_clean(part) for part in parts]
    return "_".join(part for part in parts if part).strip("_")


def _unit_parts(unit: str) -> list[str]:
    """The main unit and `per_…` of another; either may be empty, as in `{requests}/s`."""
    main, _, per = (part.strip() for part in unit.partition("/"))
    main = "" if "{" in main or "}" in main else _UNITS.get(main, main)
    per = "" if "{" in per or "}" in per else _PER_UNITS.get(per, per)
    return [main, f"per_{per}" if per else ""]


def _clean(unit: str) -> str:
    return _NOT_IN_UNIT.sub("_", unit).removeprefix("_")


def _from_words(name: str, unit: str, kind: int) -> str:
    """Words of the name, then of the unit where the name has them not, then of the type."""
    words = _WORDS.findall(name)
    main, per = (_clean(part) for part in _unit_parts(unit))
    per = per.removesuffix("_") if per != "per_" else ""
    main = "" if main in words else main
    per = "" if per in words else per
    words += [part for part in (main.removesuffix("_") if per else main, per) if part]
    if kind == COUNTER:
        words = [*(word for word in words if word != "total"), "total"]
    if unit == "1" and kind == GAUGE:
        words = [*(word for word in words if word != "ratio"), "ratio"]
    return "_".join(words)


def _with_suffixes(name: str, unit: str, kind: int) -> str:
    """The name as it is, with the suffixes it should have at its end, each once."""
    ends = []
    if unit == "1" and kind == GAUGE:
        ends.append("ratio")
    if kind == COUNTER:
        ends.append("total")
    main, per = _unit_parts(unit)
    if per:
        ends.append(per)
    for end in ends:
        if name.endswith(end) and len(name) > len(end) + 1:
            name = name[: -len(end) - 1]
    if main and not name.endswith(main):
        name = f"{name}_{main}"
    return "_".join([name, *reversed(ends)])
