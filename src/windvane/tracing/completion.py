"""What a query bar can offer: names in use and their most frequent values, from the newest spans of a window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from windvane.store.api import Engine
from windvane.tracing.filters.spans import ATTRIBUTES, COLUMNS
from windvane.tracing.search import TraceQuery, conditions

SAMPLE = 10_000
"""Spans that are looked at: the newest that satisfy the query."""

_LISTED = ("service", "name", "kind", "status")
_LONGEST = 256  # characters of a value
_COLUMNS = ", ".join([*(COLUMNS[name].sql for name in _LISTED), *(place.sql for place in ATTRIBUTES.values())])


@dataclass(frozen=True, slots=True)
class Value:
    """A value and how many of the sampled spans have it."""

    value: str
    spans: int


@dataclass(frozen=True, slots=True)
class Field:
    """A name: a column's (`scope` is empty) or an attribute's; its most frequent values, first the most frequent."""

    name: str
    scope: str
    spans: int
    different: int
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Fields:
    """Names by the number of spans that have them; `spans` is the size of the sample."""

    spans: int
    fields: tuple[Field, ...]


def fields(engine: Engine, query: TraceQuery, name: str = "", limit: int = 10) -> Fields:
    """Names and up to `limit` values of each; with `name`, of attributes and columns with that name only."""
    where = conditions(engine, query)
    params = {**where.params, "low": query.start_ns, "high": query.end_ns, "name": name}
    sample = (
        f"(SELECT {_pairs()} AS Pairs FROM (SELECT {_COLUMNS} FROM otel_traces WHERE {where} AND Timestamp BETWEEN"
        " fromUnixTimestamp64Nano({low:Int64}) AND fromUnixTimestamp64Nano({high:Int64})"
        f" ORDER BY Timestamp DESC LIMIT {SAMPLE}))"
    )
    only = " WHERE Pair.2 = {name:String}" if name else ""
    frame = engine.query(
        "SELECT Scope, Name, sum(Spans) AS Total, count() AS Different,"
        f" groupArray({limit})(Value) AS Values, groupArray({limit})(Spans) AS Counts FROM"
        " (SELECT Pair.1 AS Scope, Pair.2 AS Name, Pair.3 AS Value, count() AS Spans"
        f" FROM {sample} ARRAY JOIN arrayDistinct(Pairs) AS Pair{only} GROUP BY Scope, Name, Value"
        " ORDER BY Spans DESC, Value)"
        " GROUP BY Scope, Name ORDER BY Total DESC, Scope, Name",
        params,
    )
    size = engine.query(f"SELECT count() AS n FROM {sample}", params)["n"]
    return Fields(int(size[0]), tuple(_field(row) for row in frame.itertuples(index=False, name=None)))


def _field(row: tuple[Any, ...]) -> Field:
    """A row of (Scope, Name, Total, Different, Values, Counts)."""
    scope, name, total, different, values, counts = row
    found = tuple(Value(str(value), int(count)) for value, count in zip(values, counts, strict=True))
    return Field(name, scope, int(total), int(different), found)


def _pairs() -> str:
    """SQL of a span's (scope, name, value) triples."""
    lists = []
    columns = ", ".join(
        f"('', '{name}', {'lower' if column.kind == 'choice' else 'toString'}({column.sql}))"
        for name, column in COLUMNS.items()
        if name in _LISTED
    )
    lists.append(f"[{columns}]")
    for scope, place in ATTRIBUTES.items():
        triple = f"('{scope}', toString(k), substringUTF8(v, 1, {_LONGEST}))"
        pairs = f"arrayMap((k, v) -> {triple}, mapKeys({{m}}), mapValues({{m}}))"
        if place.nested:
            lists.append(f"arrayFlatten(arrayMap(a -> {pairs.format(m='a')}, {place.sql}))")
        else:
            lists.append(pairs.format(m=place.sql))
    return f"arrayConcat({', '.join(lists)})"
