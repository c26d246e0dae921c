"""`/federate`: the newest sample of every series that a `match[]` selects, as a Prometheus scrapes it.

Families come in order of their names and are untyped; external labels are added to series that do not
have them, and an empty `instance`, so that the scraping server does not put its own there. A series
that ended, or had no sample within the lookback, is left out. Native histograms are in the protobuf
format only, which is chosen by the Accept header.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
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
from windvane.promql.native.histogram import Histogram
from windvane.promql.raw import RawSeries, raw_samples
from windvane.promql.syntax import METRIC_NAME, Selector
from windvane.promql.value import STALE_BITS
from windvane.signals.remote_read.histograms import block, exposed_histogram, varint
from windvane.store.api import Engine, Limits

_LIMITS = Limits(seconds=60, rows=50_000_000)
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
_UNTYPED, _HISTOGRAM = 3, 4
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})
_CLASSIC = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789")


@dataclass(frozen=True, slots=True)
class Sample:
    """A series' newest sample: labels, milliseconds, and a float or a native histogram."""

    labels: dict[str, str]
    time: int
    value: float | Histogram

    @property
    def order(self) -> tuple[object, ...]:
        """By name, then labels."""
        return self.labels.get(METRIC_NAME, ""), tuple(self.labels.items())


def routes(
    engine: Engine, clock: Clock, external_labels: ExternalLabels = no_labels, lookback_ms: int = 300_000
) -> list[BaseRoute]:
    """`GET /federate` of one store."""

    def federate(params: Params) -> Response:
        accept = params.headers.get("accept", "")
        plain = "escaping=allow-utf-8" not in accept
        try:
            samples = newest(engine, params.selectors(), clock.now_ns() // 1_000_000, lookback_ms)
        except WindvaneError as error:
            return PlainTextResponse(f"{error.message}\n", 400 if isinstance(error, BadInputError) else 500)
        external = dict(sorted({"instance": "", **external_labels()}.items()))
        if _wants_protobuf(accept):
            return compressed(delimited(samples, external, plain=plain), params.headers, _PROTOBUF)
        return compressed(exposition(samples, external, plain=plain).encode(), params.headers, _TEXT)

    return [Route("/federate", endpoint(federate), methods=["GET"])]


def _wants_protobuf(accept: str) -> bool:
    """Whether the first format of an Accept header that there is here is protobuf."""
    for offer in accept.split(","):
        kind, *options = (part.strip() for part in offer.split(";"))
        if kind == "application/vnd.google.protobuf":
            return "proto=io.prometheus.client.MetricFamily" in options and "encoding=delimited" in options
        if kind in ("text/plain", "text/*", "*/*"):
            return False
    return False


def newest(engine: Engine, selectors: Iterable[Selector], now: int, lookback_ms: int) -> list[Sample]:
    """The last sample within the lookback of every series that any selector matches, in order of name and labels."""
    found: dict[tuple[tuple[str, str], ...], Sample] = {}
    for selector in selectors:
        raw = raw_samples(engine, selector.matchers, now - lookback_ms + 1, now, _LIMITS)
        for row, labels in enumerate(raw.labels):
            sample = _last(raw, row, labels)
            if sample is not None:
                found[tuple(labels.items())] = sample
    return sorted(found.values(), key=lambda sample: sample.order)


def _last(raw: RawSeries, row: int, labels: dict[str, str]) -> Sample | None:
    """The last of a series' samples; None when it is a staleness marker."""
    end = int(raw.offsets[row + 1])
    time = int(raw.times[end - 1]) if end > raw.offsets[row] else None
    if raw.native is not None and len(times := raw.native.times_of(row)) and (time is None or times[-1] > time):
        histogram = raw.native.histograms_of(row)[-1]
        return None if histogram is None else Sample(labels, int(times[-1]), histogram)
    if time is None or raw.values.view(np.int64)[end - 1] == STALE_BITS:
        return None
    return Sample(labels, time, float(raw.values[end - 1]))


def exposition(samples: Iterable[Sample], external: Mapping[str, str], *, plain: bool = True) -> str:
    """Samples in order of their names, as text of version 0.0.4; histograms are left out.

    `plain` names have `_` for every character that such a name may not have; else they are quoted.
    """
    return "".join(_lines(samples, external, _underscored if plain else _quoted))


def _lines(samples: Iterable[Sample], external: Mapping[str, str], name_of: Callable[[str], str]) -> Iterator[str]:
    family = None
    for sample in samples:
        metric = name_of(sample.labels.get(METRIC_NAME, ""))
        if not metric or not isinstance(sample.value, float):
            continue
        if metric != family:
            yield f"# TYPE {metric} untyped\n"
            family = metric
        shown = [] if metric[0] != '"' else [metric]
        shown += [f'{name_of(key)}="{text.translate(_ESCAPES)}"' for key, text in _labels(sample, external)]
        head = "" if metric[0] == '"' else metric
        yield f"{head}{{{','.join(shown)}}} {number(sample.value)} {sample.time}\n"


def _labels(sample: Sample, external: Mapping[str, str]) -> list[tuple[str, str]]:
    """A series' own labels but its name, then external ones that it does not have."""
    own = [(key, text) for key, text in sample.labels.items() if key != METRIC_NAME]
    return own + [(key, text) for key, text in external.items() if key not in sample.labels]


def delimited(samples: Iterable[Sample], external: Mapping[str, str], *, plain: bool = True) -> bytes:
    """Samples in order of their names, as length-delimited io.prometheus.client.MetricFamily messages."""
    name_of = _underscored if plain else str

    def key(sample: Sample) -> tuple[str, int]:
        return name_of(sample.labels.get(METRIC_NAME, "")), _UNTYPED if isinstance(sample.value, float) else _HISTOGRAM

    families = []
    for (name, kind), members in itertools.groupby(samples, key):
        if name:
            head = block(1, name.encode()) + b"\x18" + varint(kind)
            metrics = (block(4, _metric(member, external, name_of)) for member in members)
            families.append(head + b"".join(metrics))
    return b"".join(varint(len(family)) + family for family in families)


def _metric(sample: Sample, external: Mapping[str, str], name_of: Callable[[str], str]) -> bytes:
    pairs = ((name_of(key).encode(), text.encode()) for key, text in _labels(sample, external))
    labels = b"".join(block(1, block(1, key) + block(2, text)) for key, text in pairs)
    if isinstance(sample.value, float):
        value = block(5, b"\x09" + struct.pack("<d", sample.value))
    else:
        value = block(7, exposed_histogram(sample.value))
    return labels + value + b"\x30" + varint(sample.time)


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
