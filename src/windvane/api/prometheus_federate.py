"""`/federate`: the newest sample of every series that a `match[]` selects, as a Prometheus scrapes it.

Families come in order of their names and are untyped; external labels are added to series that do not
have them, and an empty `instance`, so that the scraping server does not put its own there. A series
that ended, or had no sample within the lookback, is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal

import numpy as np
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from windvane.api.prometheus_http import compressed, endpoint
from windvane.api.prometheus_params import Params
from windvane.api.prometheus_read import ExternalLabels, no_labels
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, WindvaneError
from windvane.promql import numbers
from windvane.promql.errors import QueryError
from windvane.promql.raw import raw_samples
from windvane.promql.syntax import METRIC_NAME, Selector
from windvane.promql.value import STALE_BITS
from windvane.store.api import Engine, Limits

_LIMITS = Limits(seconds=60, rows=50_000_000)
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})
_CLASSIC = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789")

Sample = tuple[dict[str, str], int, float]
"""Labels, milliseconds, value."""


def routes(
    engine: Engine, clock: Clock, external_labels: ExternalLabels = no_labels, lookback_ms: int = 300_000
) -> list[BaseRoute]:
    """`GET /federate` of one store."""

    def federate(params: Params) -> Response:
        try:
            selectors = params.selectors()
            now = clock.now_ns() // 1_000_000
            plain = "escaping=allow-utf-8" not in params.headers.get("accept", "")
            body = exposition(newest(engine, selectors, now, lookback_ms), external_labels(), plain=plain)
        except QueryError as error:
            return PlainTextResponse(f"{error.message}\n", 400)
        except WindvaneError as error:
            return PlainTextResponse(f"{error.message}\n", 400 if isinstance(error, BadInputError) else 500)
        return compressed(body.encode(), params.headers, _TEXT)

    return [Route("/federate", endpoint(federate), methods=["GET"])]


def newest(engine: Engine, selectors: Iterable[Selector], now: int, lookback_ms: int) -> list[Sample]:
    """The last sample within the lookback of every series that any selector matches, in order of name and labels."""
    found: dict[tuple[tuple[str, str], ...], Sample] = {}
    for selector in selectors:
        raw = raw_samples(engine, selector.matchers, now - lookback_ms + 1, now, _LIMITS)
        last = raw.offsets[1:] - 1
        times, values = raw.times[last], raw.values[last]
        fresh = (values.view(np.int64) != STALE_BITS).tolist()
        for labels, time, value, some in zip(raw.labels, times.tolist(), values.tolist(), fresh, strict=True):
            if some:
                found[tuple(labels.items())] = (labels, time, value)
    return sorted(found.values(), key=lambda sample: (sample[0].get(METRIC_NAME, ""), tuple(sample[0].items())))


def exposition(samples: Iterable[Sample], external: Mapping[str, str], *, plain: bool = True) -> str:
    """Samples in order of their names, as text of version 0.0.4.

    `plain` names have `_` for every character that such a name may not have; else they are quoted.
    """
    name_of = _underscored if plain else _quoted
    return "".join(_lines(samples, dict(sorted({"instance": "", **external}.items())), name_of))


def _lines(samples: Iterable[Sample], external: Mapping[str, str], name_of: Callable[[str], str]) -> Iterator[str]:
    family = None
    for labels, time, value in samples:
        metric = name_of(labels.get(METRIC_NAME, ""))
        if not metric:
            continue
        if metric != family:
            yield f"# TYPE {metric} untyped\n"
            family = metric
        shown = [] if metric[0] != '"' else [metric]
        shown += [f'{name_of(key)}="{text.translate(_ESCAPES)}"' for key, text in labels.items() if key != METRIC_NAME]
        shown += [f'{name_of(key)}="{text.translate(_ESCAPES)}"' for key, text in external.items() if key not in labels]
        head = "" if metric[0] == '"' else metric
        yield f"{head}{{{','.join(shown)}}} {number(value)} {time}\n"


def _classic(name: str) -> bool:
    return set(name.replace(":", "_")) <= _CLASSIC and not name[:1].isdigit()


def _underscored(name: str) -> str:
    if _classic(name):
        return name
    plain = "".join(letter if letter in _CLASSIC or letter == ":" else "_" for letter in name)
    return f"_{plain[1:]}" if plain[:1].isdigit() else plain


def _quoted(name: str) -> str:
    return name if _classic(name) else f'"{name.translate(_ESCAPES)}"'


def number(value: float) -> str:
    """As exposition formats write numbers: Go's shortest `%g`, with an exponent below 1e-4 and from 1e6."""
    size = abs(value)
    if not math.isfinite(value) or size == 0 or 1e-4 <= size < 1e6:
        return numbers.fixed(value)
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits))
    power = int(exponent) + len(text) - 1
    text = text.rstrip("0")
    mantissa = f"{text[0]}.{text[1:]}" if text[1:] else text
    return f"{'-' if sign else ''}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
