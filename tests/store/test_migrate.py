"""Migrations run once, in order, and notice tampering; retention follows the settings of each start."""

from __future__ import annotations

import re

import pytest

from windvane.kit.errors import BadInputError, ConflictError
from windvane.store.api import Engine
from windvane.store.migrate import DAY, Migration, Retention, migrate, shipped, split
from windvane.tracing.weights import SQL

FIRST = Migration(
    1,
    "first",
    "--@ retention logs notes Time\n"
    "CREATE TABLE IF NOT EXISTS notes (Time DateTime64(3), Text String DEFAULT 'a;b' /* ; */) -- a; comment\n"
    "ENGINE = MergeTree ORDER BY Time;\n",
)
SECOND = Migration(2, "second", "ALTER TABLE notes ADD COLUMN IF NOT EXISTS More String; SELECT 'it''s; fine'")


def _ttl(engine: Engine, table: str = "notes") -> str | None:
    sql = "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = {t:String}"
    match = re.search(r"TTL (.*?) SETTINGS", str(engine.query(sql, {"t": table})["engine_full"][0]))
    return match[1] if match else None


@pytest.fixture
def bare(engine: Engine) -> Engine:
    """A database on which nothing was migrated."""
    for table in engine.query("SELECT name FROM system.tables WHERE database = currentDatabase()")["name"]:
        engine.command(f"DROP TABLE `{table}`")
    return engine


def test_migrations_run_once_and_in_order(bare: Engine) -> None:
    migrate(bare, migrations=[FIRST])
    migrate(bare, migrations=[FIRST, SECOND])
    migrate(bare, migrations=[FIRST, SECOND])
    done = bare.query("SELECT Version, Name FROM windvane_migrations ORDER BY Version")
    assert list(zip(done["Version"], done["Name"], strict=True)) == [(1, "first"), (2, "second")]
    assert bare.query("SELECT Text, More FROM notes").empty


def test_a_changed_or_unknown_migration_is_refused(bare: Engine) -> None:
    migrate(bare, migrations=[FIRST, SECOND])
    with pytest.raises(ConflictError, match="0002_second changed"):
        migrate(bare, migrations=[FIRST, Migration(2, "second", "SELECT 1")])
    with pytest.raises(ConflictError, match="0002, unknown to this version"):
        migrate(bare, migrations=[FIRST])


def test_a_migration_cut_short_runs_again(bare: Engine) -> None:
    broken = Migration(1, "first", FIRST.sql + "SELECT nonsense;")
    with pytest.raises(BadInputError):
        migrate(bare, migrations=[broken])
    migrate(bare, migrations=[FIRST])
    assert len(bare.query("SELECT * FROM windvane_migrations")) == 1


def test_retention_changes_at_the_next_start_and_drops_what_is_old(bare: Engine) -> None:
    migrate(bare, Retention(signals={"logs": None}), [FIRST])
    assert _ttl(bare) is None
    bare.command("INSERT INTO notes (Time, Text) SELECT now() - 10 * 86400, 'old'")
    bare.command("INSERT INTO notes (Time, Text) SELECT now(), 'new'")
    migrate(bare, Retention(default=20 * DAY), [FIRST])
    assert _ttl(bare) == "toDateTime(Time) + toIntervalSecond(1728000)"
    assert len(bare.query("SELECT * FROM notes")) == 2
    migrate(bare, Retention(default=5 * DAY), [FIRST])
    bare.command("OPTIMIZE TABLE notes FINAL")
    assert list(bare.query("SELECT Text FROM notes")["Text"]) == ["new"]
    migrate(bare, Retention(default=None), [FIRST])
    assert _ttl(bare) is None


def test_every_shipped_table_ages(engine: Engine) -> None:
    kept = Retention(default=3 * DAY)
    migrate(engine, kept)
    aging = [entry for migration in shipped() for entry in migration.aging]
    assert {"traces", "logs"} <= {signal for signal, _, _ in aging}
    for signal, table, column in aging:
        assert _ttl(engine, table) == f"toDateTime({column}) + toIntervalSecond({kept.of(signal):.0f})"


@pytest.mark.parametrize(
    ("text", "traces", "metrics"),
    [
        ("15d", 15 * DAY, 15 * DAY),
        ("none", None, None),
        ("2d,metrics=none", 2 * DAY, None),
        ("traces=36h", 1.5 * DAY, 15 * DAY),
    ],
)
def test_retention_as_written(text: str, traces: float | None, metrics: float | None) -> None:
    retention = Retention.parse(text)
    assert (retention.of("traces"), retention.of("metrics")) == (traces, metrics)


@pytest.mark.parametrize("text", ["", "soon", "traces=", "10m", "0d"])
def test_retention_that_makes_no_sense(text: str) -> None:
    with pytest.raises(BadInputError):
        Retention.parse(text)


def test_split_leaves_quoted_semicolons() -> None:
    assert split("a ';' `;` b; -- c;\n d") == ["a ';' `;` b", "d"]


def test_a_migration_that_has_done_its_work_is_not_run_again(bare: Engine) -> None:
    once = Migration(
        1,
        "once",
        "--@ unless SELECT 1 FROM system.tables WHERE name = 'twice'\nCREATE TABLE twice (A Int8) ENGINE = Memory",
    )
    bare.command("CREATE TABLE twice (A Int8) ENGINE = Memory")  # as after a start cut short before it was noted
    migrate(bare, migrations=[once])
    assert bare.query("SELECT Version FROM windvane_migrations")["Version"].tolist() == [1]


def test_the_schema_weighs_spans_as_the_rooms_do() -> None:
    (counts,) = [migration for migration in shipped() if migration.name == "span_counts"]
    assert SQL in counts.sql


def test_spans_of_an_older_version_survive_the_new_order(bare: Engine) -> None:
    older = [migration for migration in shipped() if migration.version < 8]
    migrate(bare, Retention(default=None), older)
    bare.command(
        "INSERT INTO otel_traces (Timestamp, TraceId, SpanId, ServiceName, SpanName, SpanKind, SpanAttributes,"
        " ResourceAttributes, `Events.Timestamp`, `Events.Name`, `Events.Attributes`) SELECT"
        " toDateTime64('2026-09-01 00:00:00', 9) + number * 3600, hex(sipHash128(number)), toString(number),"
        " if(number % 2 = 0, 'reviews', 'ratings.shop'), 'op', 'Server', map('k', toString(number)),"
        " map('k8s.namespace.name', 'shop'), [now64(9)], ['e'], [map('a', 'b')] FROM numbers(100)"
    )
    rows = "SELECT * EXCEPT (Timestamp{}), toString(Timestamp) AS T FROM otel_traces ORDER BY T"
    before = bare.query(rows.format("")).to_dict("records")
    for _ in range(2):
        migrate(bare, Retention(default=None))
        assert str(bare.query(rows.format(", Commit")).to_dict("records")) == str(before)
    assert bare.query("SELECT DISTINCT Commit, Weight, Peer FROM otel_traces").values.tolist() == [[0, 1.0, ""]]
    tables = bare.query("SELECT name FROM system.tables WHERE database = currentDatabase()")["name"].tolist()
    assert "otel_traces_by_trace" not in tables


def test_logs_of_an_older_version_survive_the_new_order_even_when_it_is_cut_short(bare: Engine) -> None:
    older = [migration for migration in shipped() if migration.version < 15]
    migrate(bare, Retention(default=None), older)
    bare.command(
        "INSERT INTO otel_logs (Timestamp, ServiceName, Body, LogAttributes)"
        " SELECT toDateTime64('2026-09-01 00:00:00', 9) + number * 3600, 'cart', concat('Body ', toString(number)),"
        " map('k', 'v') FROM numbers(100)"
    )
    bare.command("INSERT INTO envoy_access_logs (Timestamp, Received, Path) SELECT now64(9), now64(3), '/Old'")
    rows = "SELECT * EXCEPT Timestamp, toString(Timestamp) AS T FROM otel_logs ORDER BY T"
    before = str(bare.query(rows).to_dict("records"))
    [migration] = [one for one in shipped() if one.version == 15]
    for statements in range(1, len(migration.statements)):
        for statement in migration.statements[:statements]:
            bare.command(statement)
    migrate(bare, Retention(default=None))
    assert str(bare.query(rows).to_dict("records")) == before
    assert len(bare.query("SELECT 1 FROM otel_logs WHERE SearchText LIKE '%body 9%'")) == 11
    assert len(bare.query("SELECT 1 FROM envoy_access_logs WHERE SearchText LIKE '%/old%'")) == 1
