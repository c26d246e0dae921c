"""Attribute search through the text index finds what a scan finds, merged or not."""

from __future__ import annotations

from windvane.store.api import Engine
from windvane.store.tokens import is_exact, token

ID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
VALUES = [
    "GET",
    "",
    "é = 'x'",
    ID,
    "0" * 16,
    "0" * 15,
    "0" * 16 + "\n",
    "ABCDEF0123456789",
    "ü" * 64,
    "ü" * 65,
    "f" * 65,
]


def _found(engine: Engine, value: str) -> int:
    sql = (
        "SELECT count() AS n FROM otel_traces "
        "WHERE hasAllTokens(SearchTokens, [{t:String}]) AND SpanAttributes['k'] = {v:String}"
    )
    return int(engine.query(sql, {"t": token("k", value), "v": value})["n"][0])


def test_tokens_find_every_value(engine: Engine) -> None:
    sql = (
        "INSERT INTO otel_traces (Timestamp, SpanAttributes) "
        "SELECT now64(9) + number, map('k', v, 'other', toString(number)) "
        "FROM numbers(3) ARRAY JOIN {v:Array(String)} AS v "
        "SETTINGS exclude_materialize_skip_indexes_on_insert = 'tokens'"
    )
    engine.command(sql, {"v": VALUES})
    assert [_found(engine, value) for value in VALUES] == [3] * len(VALUES)
    engine.command(sql, {"v": VALUES})
    engine.command("OPTIMIZE TABLE otel_traces FINAL")
    assert [_found(engine, value) for value in VALUES] == [6] * len(VALUES)
    used = "\n".join(
        engine.query("EXPLAIN indexes = 1 SELECT SpanId FROM otel_traces WHERE hasAllTokens(SearchTokens, ['k=GET'])")[
            "explain"
        ]
    )
    assert "tokens" in used
    engine.command("SYSTEM STOP MERGES otel_traces")
    engine.command(sql, {"v": VALUES})  # parts with the index, and one without
    assert [_found(engine, value) for value in VALUES] == [9] * len(VALUES)
    engine.command("SYSTEM START MERGES otel_traces")
    assert not is_exact(ID)
    assert not is_exact("ü" * 65)
    assert is_exact("0" * 15)


def test_tokens_cover_every_scope(engine: Engine) -> None:
    engine.command(
        "INSERT INTO otel_traces (ResourceAttributes, ScopeAttributes, `Events.Timestamp`, `Events.Name`, "
        "`Events.Attributes`, `Links.TraceId`, `Links.SpanId`, `Links.TraceState`, `Links.Attributes`) SELECT "
        "map('r', '1'), map('s', '2'), [now64(9), now64(9)], ['', ''], [map('e', '3'), map('e', '4')], "
        "[''], [''], [''], [map('l', '5')]"
    )
    engine.command("OPTIMIZE TABLE otel_traces FINAL")
    wanted = ["r=1", "s=2", "e=3", "e=4", "l=5"]
    sql = "SELECT count() AS n FROM otel_traces WHERE hasAllTokens(SearchTokens, {t:Array(String)})"
    assert engine.query(sql, {"t": wanted})["n"][0] == 1
    assert engine.query(sql, {"t": [*wanted, "e=5"]})["n"][0] == 0
