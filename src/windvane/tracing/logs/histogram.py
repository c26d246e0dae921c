"""How many lines when: counts by time and by what tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from windvane.store.api import Engine
from windvane.tracing.logs.search import WITHIN, LineQuery, conditions
from windvane.tracing.logs.sources import SEVERITIES, STATUS_CLASSES, Source, severity_words

By = Literal["severity", "status", "service", "kind"]
BYS: tuple[By, ...] = get_args(By)
MAX_BUCKETS = 2_000
MAX_SERIES = 20
_ORDER = {name: place for place, name in enumerate(("", *SEVERITIES, *STATUS_CLASSES))}


@dataclass(frozen=True, slots=True)
class Series:
    """Lines of one severity, say, in each bucket; `name` is '' for lines that have none, `*` for all the rest."""

    name: str
    counts: list[int]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Bucket i holds lines from `start_ns` + i * `step_ns` on; the series add up to `total`."""

    start_ns: int
    step_ns: int
    total: int
    series: tuple[Series, ...]


def histogram(engine: Engine, query: LineQuery, step_ns: int, by: By) -> Histogram:
    """Counts of all lines that match. Buckets begin at multiples of the step since the epoch."""
    first = query.start_ns // step_ns
    size = query.end_ns // step_ns - first + 1
    counts: dict[str, np.ndarray] = {}
    for source in query.sources:
        where = conditions(source, query)
        frame = engine.query(
            f"SELECT intDiv(toUnixTimestamp64Nano(Timestamp), {step_ns}) - {first} AS Bucket,"
            f" {_group(source, by)} AS Name, count() AS Lines"
            f" FROM {source.table} WHERE {where} AND {WITHIN} GROUP BY Bucket, Name",
            {**where.params, "low": query.start_ns, "high": query.end_ns},
        )
        for bucket, name, lines in zip(frame["Bucket"], frame["Name"], frame["Lines"], strict=True):
            counts.setdefault(str(name), np.zeros(size, np.int64))[int(bucket)] += int(lines)
    series = _fewer(counts, by)
    total = sum(int(own.sum()) for own in counts.values())
    return Histogram(first * step_ns, step_ns, total, tuple(Series(name, own.tolist()) for name, own in series))


def _group(source: Source, by: By) -> str:
    if by == "kind":
        return f"'{source.kind}'"
    return {"severity": severity_words(source.severity), "status": source.status, "service": source.service}[by]


def _fewer(counts: dict[str, np.ndarray], by: By) -> Sequence[tuple[str, np.ndarray]]:
    """Severities and statuses in their order; services by their number of lines, the rest of them as one."""
    if by in ("severity", "status"):
        return sorted(counts.items(), key=lambda item: _ORDER.get(item[0], len(_ORDER)))
    ranked = sorted(counts.items(), key=lambda item: (-int(item[1].sum()), item[0]))
    if len(ranked) > MAX_SERIES:
        rest = sum((own for _, own in ranked[MAX_SERIES:]), np.zeros_like(ranked[0][1]))
        ranked = [*ranked[:MAX_SERIES], ("*", rest)]
    return ranked
