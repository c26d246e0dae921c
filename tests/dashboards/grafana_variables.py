"""Variables put into PromQL as Grafana's Prometheus data source does it.

The rules, from Grafana's documentation of variable syntax and of its Prometheus data source: one value
of a single-choice variable goes in with `\\` and `"` escaped; values of a multi-choice variable are
escaped as regular expressions and, where there are several, joined as `(a|b)`; "All" with a value of its
own goes in as it is. `$__rate_interval` is the larger of four scrape intervals and interval + scrape interval.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_NAME = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_SPECIAL = re.compile(r"[$^*{}\[\]'+?.()|]")

Values = Mapping[str, str | Sequence[str]]


def substitute(expr: str, values: Values) -> str:
    """`expr` with every `$name` and `${name}` filled in; an unknown name is a KeyError."""
    return _NAME.sub(lambda found: _text(values[found[1] or found[2]]), expr)


def _text(value: str | Sequence[str]) -> str:
    if isinstance(value, str):
        return value.replace("\\", "\\\\").replace('"', '\\"')
    if list(value) == ["$__all"]:
        return ".*"
    escaped = [_SPECIAL.sub(r"\\\\\g<0>", one.replace("\\", "\\\\\\\\")) for one in value]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
