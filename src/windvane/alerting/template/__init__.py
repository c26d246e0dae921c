"""Go's text/template with Prometheus's functions, as labels and annotations of alerts use it."""

from __future__ import annotations

from windvane.alerting.template.builtins import FUNCTIONS, SPECIAL
from windvane.alerting.template.errors import TemplateError
from windvane.alerting.template.functions import BOUND, STATIC, Query, bound
from windvane.alerting.template.parse import parse
from windvane.alerting.template.run import execute
from windvane.alerting.template.values import Data, LabelMap

__all__ = ["Data", "LabelMap", "Query", "TemplateError", "check", "expand"]

_NAMES = frozenset({*FUNCTIONS, *SPECIAL, *STATIC, *BOUND})
_SHORTHANDS = (
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"
)


def check(name: str, text: str) -> None:
    """Raise `TemplateError` when the template of the alert `name` does not parse."""
    parse(f"__alert_{name}", _SHORTHANDS + text, _NAMES)


def expand(name: str, text: str, data: Data, time_ms: int, query: Query) -> str:
    """The template of the alert `name` with its data; `query` evaluates PromQL at `time_ms`.

    `TemplateError` when it does not parse or fails; its message is worded as Prometheus's.
    """
    if "{{" not in text:
        return text
    full = f"__alert_{name}"
    try:
        template = parse(full, _SHORTHANDS + text, _NAMES)
    except TemplateError as error:
        raise TemplateError(f"error parsing template {full}: {error.message}") from None
    try:
        return execute(template, data, {**STATIC, **bound(query, time_ms, data.ExternalURL)})
    except TemplateError as error:
        raise TemplateError(f"error executing template {full}: {error.message}") from None
