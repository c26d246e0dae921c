"""Finding lines: a page in the order of time, of one table or of both merged, from anywhere on.

The order is over all matching lines, and the limit is applied to it, never before it. Reading stays small
because windows of time are read from the end where the order begins until the page is full.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from windvane.kit.errors import BadInputError
from windvane.store.api import Engine
from windvane.tracing.filters.ast import EVERYTHING, Expression, Words
from windvane.tracing.filters.compile import condition
from windvane.tracing.filters.fields import walk
from windvane.tracing.filters.sql import Conditions
from windvane.tracing.logs.lines import Line, columns, lines
from windvane.tracing.logs.places import Place, Sort, windows
from windvane.tracing.logs.sources import SOURCES, Source

MAX_LINES = 10_000

# For words the engine reads the whole dictionary of each part's index in every window, and parts are of a day.
_DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class LineQuery:
    """Which lines: of `sources`, whose time is within the bounds (ns, inclusive) and that satisfy `where`.

    `after` is the place behind which the page begins.
    """

    start_ns: int
    end_ns: int
    sources: Sequence[Source] = SOURCES
    where: Expression = EVERYTHING
    sort: Sort = "newest"
    limit: int = 100
    after: Place | None = None


def find(engine: Engine, query: LineQuery) -> list[Line]:
    """The lines of a page, in the order asked; `BadInputError` for a limit out of bounds or a wrong value."""
    if not 0 < query.limit <= MAX_LINES:
        raise BadInputError(f"limit must be from 1 to {MAX_LINES}, not {query.limit}")
    newest = query.sort == "newest"
    pages = [_page(engine, source, query) for source in query.sources]
    merged = heapq.merge(*pages, key=lambda line: line.place, reverse=newest)
    return [line for line, _ in zip(merged, range(query.limit), strict=False)]


def _page(engine: Engine, source: Source, query: LineQuery) -> list[Line]:
    start_ns, end_ns = query.start_ns, query.end_ns
    if query.after is not None:
        start_ns = max(start_ns, query.after.time_ns) if query.sort == "oldest" else start_ns
        end_ns = min(end_ns, query.after.time_ns) if query.sort == "newest" else end_ns
    found: list[Line] = []
    worded = any(isinstance(term, Words) for term in walk(query.where))
    for low, high in windows(start_ns, end_ns, query.sort, _DAY_NS if worded else 0):
        found += _window(engine, source, query, (low, high), query.limit - len(found))
        if len(found) >= query.limit:
            break
    return found


def _window(engine: Engine, source: Source, query: LineQuery, bounds: tuple[int, int], limit: int) -> list[Line]:
    where = conditions(source, query)
    params = {**where.params, "low": bounds[0], "high": bounds[1], "limit": limit}
    behind, direction = "", "DESC" if query.sort == "newest" else "ASC"
    if query.after is not None:
        params |= dict(zip(("at", "rank", "block", "offset"), query.after, strict=True))
        behind = (
            f" AND (toUnixTimestamp64Nano(Timestamp), {source.rank}, _block_number, _block_offset)"
            f" {'<' if query.sort == 'newest' else '>'}"
            " ({at:Int64}, {rank:Int64}, {block:Int64}, {offset:Int64})"
        )
    frame = engine.query(
        f"SELECT {columns(source)} FROM {source.table} WHERE {where} AND {WITHIN}{behind}"
        f" ORDER BY Timestamp {direction}, _block_number {direction}, _block_offset {direction} LIMIT {{limit:UInt32}}",
        params,
    )
    return lines(source, frame)


WITHIN = "Timestamp BETWEEN fromUnixTimestamp64Nano({low:Int64}) AND fromUnixTimestamp64Nano({high:Int64})"
"""SQL of the time bounds, parameters `low` and `high`."""


def conditions(source: Source, query: LineQuery) -> Conditions:
    """The query as SQL over a source's table, without its time bounds."""
    where = Conditions()
    if query.where != EVERYTHING:
        where.add(condition(query.where, source.fields, where))
    return where
