"""Sizes of tables."""

from __future__ import annotations

from windvane.store.api import Engine
from windvane.store.status import table_sizes


def test_sizes_of_full_and_empty_tables(engine: Engine) -> None:
    engine.command("CREATE TABLE days (D Date, N UInt64) ENGINE = MergeTree PARTITION BY D ORDER BY N")
    engine.command("INSERT INTO days SELECT toDate('2026-01-01') + number % 2, number FROM numbers(1000)")
    sizes = {table.name: table for table in table_sizes(engine)}
    assert (sizes["days"].rows, sizes["days"].parts) == (1_000, 2)
    assert sizes["days"].bytes > 1_000
    assert (sizes["otel_traces"].rows, sizes["otel_traces"].bytes, sizes["otel_traces"].parts) == (0, 0, 0)
