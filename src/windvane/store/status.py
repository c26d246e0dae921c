"""How full the store is: rows, bytes and age of every table, for the status page."""

from __future__ import annotations

from dataclasses import dataclass

from windvane.store.api import Engine

_SIZES = """
SELECT t.name AS name, toUInt64(sum(p.rows)) AS rows, toUInt64(sum(p.bytes_on_disk)) AS bytes,
    countIf(p.active) AS parts,
    toUnixTimestamp(minIf(p.min_time, p.min_time > 0)) AS oldest, toUnixTimestamp(max(p.max_time)) AS newest
FROM system.tables AS t
LEFT JOIN (
    SELECT * FROM system.parts WHERE active AND database = currentDatabase()
) AS p ON p.table = t.name
WHERE t.database = currentDatabase() AND t.engine LIKE '%MergeTree'
GROUP BY t.name
ORDER BY bytes DESC, name
"""


@dataclass(frozen=True, slots=True)
class TableSize:
    """One table: `bytes` on disk compressed, indexes included; `parts` that merges have yet to join.

    `oldest` and `newest` are day bounds of its rows in Unix seconds (0 when unknown or empty).
    """

    name: str
    rows: int
    bytes: int
    parts: int
    oldest: int
    newest: int


def table_sizes(engine: Engine) -> list[TableSize]:
    """All tables of the engine's database, the biggest first."""
    frame = engine.query(_SIZES)
    return [TableSize(str(name), *map(int, numbers)) for name, *numbers in frame.itertuples(index=False)]
