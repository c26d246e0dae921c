"""What a query bar can offer: names in use and their most frequent values, from the newest rows of a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from windvane.store.api import Engine
from windvane.tracing.filters.fields import Attributes
from windvane.tracing.filters.spans import ATTRIBUTES, COLUMNS
from windvane.tracing.filters.sql import Conditions
from windvane.tracing.search import TraceQuery, conditions

SAMPLE = 10_000
"""Rows that are looked at: the newest that satisfy the query."""

_LONGEST = 256  # characters of a value


@dataclass(frozen=True, slots=True)
class Value:
    """A value and how many of the sampled spans (rows) have it."""

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


@dataclass(frozen=True, slots=True)
class Table:
    """Where names are looked up. `listed`: names and the SQL of their values; `read`: the columns needed."""

    name: str
    read: str
    listed: Mapping[str, str]
    attributes: Mapping[str, Attributes]


_LISTED = {
    name: f"{'lower' if COLUMNS[name].kind == 'choice' else 'toString'}({COLUMNS[name].sql})"
    for name in ("service", "name", "kind", "status")
}
_SPANS = Table(
    "otel_traces",
    ", ".join([*(COLUMNS[name].sql for name in _LISTED), *(place.sql for place in ATTRIBUTES.values())]),
    _LISTED,
    ATTRIBUTES,
)


def fields(engine: Engine, query: TraceQuery, name: str = "", limit: int = 10) -> Fields:
    """Names and up to `limit` values of each; with `name`, of attributes and columns with that name only."""
    return table_fields(
        engine, _SPANS, conditions(engine, query), (query.start_ns, query.end_ns), name=name, limit=limit
    )


def table_fields(
    engine: Engine, table: Table, where: Conditions, bounds: tuple[int, int], *, name: str = "", limit: int = 10
) -> Fields:
    """As `fields`, of any table; the bounds are nanoseconds, inclusive."""
    params = {**where.params, "low": bounds[0], "high": bounds[1], "name": name}
    sample = (
        f"(SELECT {_pairs(table)} AS Pairs FROM (SELECT {table.read} FROM {table.name} WHERE {where} AND Timestamp"
        " BETWEEN fromUnixTimestamp64Nano({low:Int64}) AND fromUnixTimestamp64Nano({high:Int64})"
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


def _pairs(table: Table) -> str:
    """SQL of a row's (scope, name, value) triples."""
    columns = ", ".join(f"('', '{name}', {text})" for name, text in table.listed.items())
    lists = [f"[{columns}]"]
    for scope, place in table.attributes.items():
        triple = f"('{scope}', toString(k), substringUTF8(v, 1, {_LONGEST}))"
        pairs = f"arrayMap((k, v) -> {triple}, mapKeys({{m}}), mapValues({{m}}))"
        if place.nested:
            lists.append(f"arrayFlatten(arrayMap(a -> {pairs.format(m='a')}, {place.sql}))")
        else:
            lists.append(pairs.format(m=place.sql))
    return f"arrayConcat({', '.join(lists)})"
