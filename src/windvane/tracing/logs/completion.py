"""What a query bar can offer for lines: names in use and their most frequent values, of one table or of both."""

from __future__ import annotations

from collections import Counter

from windvane.store.api import Engine
from windvane.tracing.completion import Field, Fields, Table, Value, table_fields
from windvane.tracing.logs.search import LineQuery, conditions
from windvane.tracing.logs.sources import Source, severity_words


def fields(engine: Engine, query: LineQuery, name: str = "", limit: int = 10) -> Fields:
    """Names and up to `limit` values of each, from the newest matching lines of each table."""
    bounds = (query.start_ns, query.end_ns)
    found = [
        table_fields(engine, _table(source), conditions(source, query), bounds, name=name, limit=limit)
        for source in query.sources
    ]
    return found[0] if len(found) == 1 else _joined(found, limit)


def _table(source: Source) -> Table:
    listed = {
        name: severity_words(source.severity) if sql == "Severity" else sql for name, sql in source.listed.items()
    }
    return Table(source.table, "*", listed, source.fields.attributes)


def _joined(found: list[Fields], limit: int) -> Fields:
    """The same names of several tables as one; `different` is then the greatest number known for certain."""
    names: dict[tuple[str, str], list[Field]] = {}
    for own in found:
        for field in own.fields:
            names.setdefault((field.scope, field.name), []).append(field)
    joined = []
    for (scope, name), same in names.items():
        counts: Counter[str] = Counter()
        for field in same:
            counts.update({value.value: value.spans for value in field.values})
        values = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]
        different = max(len(counts), *(field.different for field in same))
        joined.append(Field(name, scope, sum(f.spans for f in same), different, tuple(Value(*v) for v in values)))
    joined.sort(key=lambda field: (-field.spans, field.scope, field.name))
    return Fields(sum(own.spans for own in found), tuple(joined))
