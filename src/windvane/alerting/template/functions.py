"""The functions Prometheus adds to templates, on the values of one expansion."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus, urlsplit

import re2  # type: ignore[import-untyped]

from windvane.alerting.durations import parse_duration
from windvane.alerting.gofloat import shortest
from windvane.alerting.template.errors import CallError
from windvane.alerting.template.formatting import general, need
from windvane.alerting.template.values import LabelMap, Moment, Sample, Span, type_name
from windvane.kit.errors import BadInputError, WindvaneError
from windvane.promql import numbers
from windvane.promql.regex import expand

Query = Callable[[str], list[tuple[dict[str, str], float | str]]]
"""Evaluates PromQL at the moment of the expansion: label sets and values (a string result's text)."""

_LARGE = ("k", "M", "G", "T", "P", "E", "Z", "Y")
_BINARY = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_SMALL = ("m", "u", "n", "p", "f", "a", "z", "y")
_REGEX_PROBLEMS = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "bad repetition operator": "invalid nested repetition operator",
    "trailing \\": "trailing backslash at end of expression",
}
"""RE2's words for what is wrong, in those of Go's regexp package."""
_INT64 = float(1 << 63)


def number(value: Any) -> float:
    """What the humanizing functions take: numbers, durations, or strings that hold a number."""
    match value:
        case bool():
            pass
        case float() | int():
            return float(value)
        case Span():
            return value.ns / 1e9
        case str():
            found = numbers.parse(value)
            if found is None:
                raise CallError(f'strconv.ParseFloat: parsing "{value}": invalid syntax')
            return found
    raise CallError(f"can't convert {type_name(value)} to float")


def humanize(value: Any) -> str:
    """A number with a metric prefix and four digits."""
    amount = number(value)
    if amount == 0 or not math.isfinite(amount):
        return general(amount, 4)
    if abs(amount) >= 1:
        return _scaled(amount, 1000.0, _LARGE)
    return _shrunk(amount)


def humanize1024(value: Any) -> str:
    """A number with a binary prefix and four digits."""
    amount = number(value)
    if abs(amount) <= 1 or not math.isfinite(amount):
        return general(amount, 4)
    return _scaled(amount, 1024.0, _BINARY)


def _scaled(amount: float, base: float, prefixes: tuple[str, ...]) -> str:
    shown = ""
    for prefix in prefixes:
        if abs(amount) < base:
            break
        shown, amount = prefix, amount / base
    return general(amount, 4) + shown


def _shrunk(amount: float) -> str:
    shown = ""
    for prefix in _SMALL:
        if abs(amount) >= 1:
            break
        shown, amount = prefix, amount * 1000
    return general(amount, 4) + shown


def humanize_duration(value: Any) -> str:  # noqa: PLR0911 - a case a size
    """Seconds as `1d 2h 3m 4s`, or with a metric prefix below one second."""
    amount = number(value)
    if not math.isfinite(amount):
        return general(amount, 4)
    if amount == 0:
        return "0s"
    if abs(amount) < 1:
        return _shrunk(amount) + "s"
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    minutes, seconds = divmod(int(size), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    if minutes:
        return f"{sign}{minutes}m {seconds}s"
    return f"{sign}{general(size, 4)}s"


def humanize_percentage(value: Any) -> str:
    """A ratio as a percentage with four digits."""
    return general(number(value) * 100, 4) + "%"


def _moment(value: Any) -> Moment | None:
    amount = number(value)
    if not math.isfinite(amount):
        return None
    if not -_INT64 <= amount * 1e9 < _INT64:
        shown = shortest(amount)
        raise CallError(f"{shown} cannot be represented as a nanoseconds timestamp since it overflows int64")
    return Moment(int(amount * 1e9) // 1_000_000 * 1_000_000)  # Prometheus's times have milliseconds


def humanize_timestamp(value: Any) -> str:
    """Unix seconds as a date and time."""
    moment = _moment(value)
    return general(number(value), 4) if moment is None else str(moment)


def to_time(value: Any) -> Moment:
    """Unix seconds as a time."""
    moment = _moment(value)
    if moment is None:
        raise CallError(f"cannot convert {general(number(value), 4)} to time.Time")
    return moment


def to_duration(value: Any) -> Span:
    """Seconds as a duration."""
    amount = number(value)
    if not abs(amount) < _INT64 / 1e9:
        raise CallError(f"cannot convert {general(amount, 4)} to time.Duration")
    return Span(int(amount * 1e9))


def first(samples: Any) -> Sample:
    """The first element of a query's result."""
    found = need(samples, list, "template.queryResult")
    if not found:
        raise CallError("first() called on vector with no elements")
    return need(found[0], Sample, "*template.sample")  # type: ignore[no-any-return]


def sort_by_label(label: Any, samples: Any) -> list[Sample]:
    """A query's result ordered by one label."""
    name = need(label, str, "string")
    return sorted(need(samples, list, "template.queryResult"), key=lambda one: one.Labels.get(name, ""))


def _regex(pattern: Any) -> Any:
    text = need(pattern, str, "string")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        shown = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        code, _, part = shown.partition(": ")
        problem = f"{_REGEX_PROBLEMS.get(code, code)}: `{part or text}`"
        raise CallError(f"regexp: Compile(`{text}`): error parsing regexp: {problem}") from None


def match(pattern: Any, text: Any) -> bool:
    """Whether a regular expression occurs in a text."""
    return _regex(pattern).search(need(text, str, "string")) is not None


def replace_all(pattern: Any, replacement: Any, text: Any) -> str:
    """Every match of a regular expression replaced; `$1` and `${name}` stand for groups."""
    template = need(replacement, str, "string")
    return str(_regex(pattern).sub(lambda found: expand(template, found), need(text, str, "string")))


def title(text: Any) -> str:
    """The first letter of every word in upper case."""
    value = need(text, str, "string")
    return "".join(
        one.upper() if one.isalpha() and not (place and (value[place - 1].isalnum() or value[place - 1] in "'_’"))
        else one
        for place, one in enumerate(value)
    )  # fmt: skip


def strip_port(host: Any) -> str:
    """`host:port` without its port; anything else as it is."""
    text: str = need(host, str, "string")
    split = _split_port(text)
    return text if split is None else split[0]


def strip_domain(host: Any) -> str:
    """A host's first name, its port kept; addresses as they are."""
    text: str = need(host, str, "string")
    name, port = _split_port(text) or (text, None)
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        short = name.partition(".")[0]
        return short if port is None else f"{short}:{port}"
    return text


def _split_port(text: str) -> tuple[str, str] | None:
    host, colon, port = text.rpartition(":")
    if not colon or "]" in port:
        return None
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1], port
    return None if ":" in host or "[" in host or "]" in host else (host, port)


def graph_path(expression: str) -> str:
    """The path of Prometheus's page that draws an expression."""
    return f"/graph?g0.expr={quote_plus(expression)}&g0.tab=0"


def table_path(expression: str) -> str:
    """The path of Prometheus's page that lists an expression's values."""
    return f"/graph?g0.expr={quote_plus(expression)}&g0.tab=1"


def _upper(text: Any) -> str:
    return str(need(text, str, "string").upper())


def _lower(text: Any) -> str:
    return str(need(text, str, "string").lower())


def _sample(value: Any) -> Sample:
    return need(value, Sample, "*template.sample")  # type: ignore[no-any-return]


def _label(name: Any, sample: Any) -> str:
    return _sample(sample).Labels.get(need(name, str, "string"), "")


def _parse_duration(text: Any) -> float:
    try:
        return parse_duration(need(text, str, "string"))
    except BadInputError as error:
        raise CallError(error.message) from None


STATIC: Mapping[str, Callable[..., Any]] = {
    "first": first,
    "label": _label,
    "value": lambda sample: _sample(sample).Value,
    "strvalue": lambda sample: _sample(sample).Labels.get("__value__", ""),
    "args": lambda *values: {f"arg{place}": value for place, value in enumerate(values)},
    "reReplaceAll": replace_all,
    "safeHtml": lambda text: need(text, str, "string"),
    "match": match,
    "title": title,
    "toUpper": _upper,
    "toLower": _lower,
    "graphLink": lambda text: graph_path(need(text, str, "string")),
    "tableLink": lambda text: table_path(need(text, str, "string")),
    "sortByLabel": sort_by_label,
    "stripPort": strip_port,
    "stripDomain": strip_domain,
    "humanize": humanize,
    "humanize1024": humanize1024,
    "humanizeDuration": humanize_duration,
    "humanizePercentage": humanize_percentage,
    "humanizeTimestamp": humanize_timestamp,
    "toTime": to_time,
    "toDuration": to_duration,
    "parseDuration": _parse_duration,
    "urlQueryEscape": lambda text: quote_plus(need(text, str, "string")),
}
BOUND = ("query", "now", "externalURL", "pathPrefix", "tmpl")
"""Functions that depend on the expansion: `bound` and the executor give them."""


def bound(query: Query, time_ms: int, external_url: str) -> dict[str, Callable[..., Any]]:
    """The functions that know what the expansion is about: its moment, its queries, the server's address."""

    def run(text: Any) -> list[Sample]:
        try:
            found = query(need(text, str, "string"))
        except WindvaneError as error:
            raise CallError(error.message) from None
        return [_as_sample(labels, value) for labels, value in found]

    return {
        "query": run,
        "now": lambda: time_ms / 1000,
        "externalURL": lambda: external_url,
        "pathPrefix": lambda: urlsplit(external_url).path,
    }


def _as_sample(labels: dict[str, str], value: float | str) -> Sample:
    if isinstance(value, str):
        return Sample(LabelMap(labels, __value__=value), 0.0)
    return Sample(LabelMap(labels), value)
