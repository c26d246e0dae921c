"""Fields and methods of template values: entries of maps, fields of samples, methods of times."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from windvane.alerting.template.errors import CallError
from windvane.alerting.template.formatting import need
from windvane.alerting.template.layout import format_time
from windvane.alerting.template.values import NO_VALUE, Data, LabelMap, Moment, NoValue, Sample, Span, type_name

_FIELDS = {Data: ("Labels", "ExternalLabels", "ExternalURL", "Value"), Sample: ("Labels", "Value")}


def member(value: Any, name: str, args: Sequence[Any]) -> Any:
    """`value.name args…`; `CallError` when there is no such thing."""
    if isinstance(value, dict):
        if args:
            raise CallError(f"{name} is not a method but has arguments")
        return value.get(name, "" if isinstance(value, LabelMap) else NO_VALUE)
    if value is None or isinstance(value, NoValue):
        raise CallError(f"nil data; no entry for key {name!r}".replace("'", '"'))
    if isinstance(value, Data | Sample) and name in _FIELDS[type(value)]:
        if args:
            raise CallError(f"{name} has arguments but cannot be invoked as function")
        return getattr(value, name)
    method = _METHODS.get((type(value), name))
    if method is None:
        raise CallError(f"can't evaluate field {name} in type {type_name(value)}")
    wanted = arity(method)[0] - 1
    if len(args) != wanted:
        raise CallError(f"wrong number of args for {name}: want {wanted} got {len(args)}")
    return method(value, *args)


@lru_cache(maxsize=256)
def arity(function: Callable[..., Any]) -> tuple[int, int]:
    """The smallest and the largest number of arguments a function takes."""
    if function is str:
        return 1, 1
    parameters = inspect.signature(function).parameters.values()
    positional = [one for one in parameters if one.kind is not one.VAR_POSITIONAL]
    least = sum(one.default is one.empty for one in positional)
    return least, len(positional) if len(positional) == len(parameters) else sys.maxsize


_METHODS: dict[tuple[type, str], Callable[..., Any]] = {
    (Moment, "Format"): lambda one, layout: format_time(one, need(layout, str, "string")),
    (Moment, "String"): str,
    (Moment, "UTC"): lambda one: one,
    (Moment, "Unix"): lambda one: one.ns // 1_000_000_000,
    (Moment, "UnixMilli"): lambda one: one.ns // 1_000_000,
    (Moment, "UnixNano"): lambda one: one.ns,
    (Moment, "Year"): lambda one: one.datetime.year,
    (Moment, "Month"): lambda one: one.datetime.strftime("%B"),
    (Moment, "Day"): lambda one: one.datetime.day,
    (Moment, "Weekday"): lambda one: one.datetime.strftime("%A"),
    (Moment, "YearDay"): lambda one: one.datetime.timetuple().tm_yday,
    (Moment, "Hour"): lambda one: one.datetime.hour,
    (Moment, "Minute"): lambda one: one.datetime.minute,
    (Moment, "Second"): lambda one: one.datetime.second,
    (Moment, "Nanosecond"): lambda one: one.ns % 1_000_000_000,
    (Span, "String"): str,
    (Span, "Hours"): lambda one: one.ns / 3.6e12,
    (Span, "Minutes"): lambda one: one.ns / 6e10,
    (Span, "Seconds"): lambda one: one.ns / 1e9,
    (Span, "Milliseconds"): lambda one: int(one.ns / 1_000_000),
    (Span, "Microseconds"): lambda one: int(one.ns / 1_000),
    (Span, "Nanoseconds"): lambda one: one.ns,
}
