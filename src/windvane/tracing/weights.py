"""How many spans a stored one stands for: its weight, also called adjusted count.

A sampler that keeps a share p of all traces and says so makes counts over what it kept right again: every
span counts 1/p times. Two ways of saying it are understood; a span without either counts once.

- W3C tracestate, member `ot`, key `th`: OpenTelemetry's rejection threshold T, 1 to 14 hex digits of a fraction
  of 2**56, trailing zeros left out; p = 1 - T / 2**56
  (https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/).
- Attributes `sampler.type=probabilistic` and `sampler.param=p` of Jaeger's clients, on the spans that carry them: the
  roots (https://www.jaegertracing.io/docs/1.22/sampling/#client-sampling-configuration).

`SQL` and `weight` are the same rule; migration 0013 has the SQL in these very words, as column `Weight` of otel_traces.
"""

from __future__ import annotations

import re

_ALL = 1 << 56
_THRESHOLD = r"(?:^|,)[ \t]*ot=(?:[^,;]*;)*th:([0-9a-f]{1,14})(?:[;, \t]|$)"
_SHARE = r"^(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][-+]?[0-9]{1,3})?$"
_LEAST = 1 / _ALL  # no threshold tells of a smaller share

_threshold, _share = re.compile(_THRESHOLD), re.compile(_SHARE)


def weight(trace_state: str, sampler_type: str = "", sampler_param: str = "") -> float:
    """How often a span counts, at least 1: from its tracestate, else from its attributes `sampler.*`, else 1."""
    found = _threshold.search(trace_state)
    if found:
        return float(_ALL) / float(_ALL - int(found[1].ljust(14, "0"), 16))
    if sampler_type == "probabilistic" and _share.match(sampler_param):
        share = float(sampler_param)
        if _LEAST <= share <= 1:
            return 1 / share
    return 1.0


def _quoted(pattern: str) -> str:
    return "'" + pattern.replace("\\", "\\\\") + "'"


def _sql() -> str:
    found = f"extract(TraceState, {_quoted(_THRESHOLD)})"
    threshold = f"bitShiftRight(reinterpretAsUInt64(reverse(unhex(rightPad({found}, 16, '0')))), 8)"
    given = "SpanAttributes['sampler.param']"
    share = f"if(match({given}, {_quoted(_SHARE)}), toFloat64OrZero({given}), 0)"
    return (
        f"multiIf(position(TraceState, 'th:') > 0 AND {found} != '', {_ALL} / ({_ALL} - {threshold}), "
        f"SpanAttributes['sampler.type'] = 'probabilistic' AND {share} BETWEEN {_LEAST!r} AND 1, 1 / {share}, 1.)"
    )


SQL = _sql()
"""The weight of a row of otel_traces, a Float64."""
