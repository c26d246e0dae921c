"""Numbered migrations and retention.

`schema/NNNN_name.sql` files run once each, in order; table `windvane_migrations` records which
did, with a checksum. A statement that was cut short by a crash runs again, so statements say
`IF NOT EXISTS`. A comment line `--@ retention SIGNAL TABLE COLUMN` declares that rows of TABLE
belong to SIGNAL and age by COLUMN: every start sets the table's TTL to what retention says then. A comment line
`--@ unless SELECT …`: where that gives a row, the file has done its work (in a start that was cut short right
after it) and its statements are not run again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources

from windvane.kit.errors import BadInputError, ConflictError
from windvane.kit.values import parse_duration
from windvane.store.api import Engine

DAY = 86_400.0
_LONGER = {"metrics_5m": 90 * DAY, "metrics_1h": 730 * DAY, "incidents": 365 * DAY}

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")
_RETENTION = re.compile(r"^--@ retention (\w+) (\w+) (\w+)$", re.MULTILINE)
_UNLESS = re.compile(r"^--@ unless (.+)$", re.MULTILINE)
_TOKEN = re.compile(r"'(?:[^'\\]|\\.|'')*'|`[^`]*`|--[^\n]*|/\*.*?\*/|;|[^'`;/-]+|[/-]", re.DOTALL)
_TTL = re.compile(r" TTL (.+?)(?: SETTINGS |$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long each signal is kept, in seconds; None keeps it for ever.

    Signals are those the schema declares: traces, logs, access_logs, metrics, its rollups metrics_5m and metrics_1h,
    and incidents; these three stay for 90, 730 and 365 days where nothing is said of them (or as long as metrics, if
    longer).
    """

    default: float | None = 15 * DAY
    signals: Mapping[str, float | None] = field(default_factory=dict)

    def of(self, signal: str) -> float | None:
        """Seconds that `signal` is kept."""
        if signal in self.signals or signal not in _LONGER:
            return self.signals.get(signal, self.default)
        samples = self.of("metrics")
        return None if samples is None else max(samples, _LONGER[signal])

    @classmethod
    def parse(cls, text: str) -> Retention:
        """Read `15d`, `none`, or `15d,traces=3d,metrics=none` (shorter than an hour is refused)."""
        default, signals = cls().default, {}
        for word in text.split(","):
            signal, separator, duration = word.strip().rpartition("=")
            if separator:
                signals[signal] = _seconds(duration)
            else:
                default = _seconds(duration)
        return cls(default, signals)


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file of the schema."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """Its SQL statements, without comments."""
        return split(self.sql)

    @property
    def unless(self) -> str:
        """The query whose rows say that the statements have run, or ''."""
        match = _UNLESS.search(self.sql)
        return match[1] if match else ""

    @property
    def aging(self) -> list[tuple[str, str, str]]:
        """Declared retention: (signal, table, time column)."""
        return _RETENTION.findall(self.sql)


def migrate(engine: Engine, retention: Retention | None = None, migrations: Sequence[Migration] | None = None) -> None:
    """Bring the database to the newest schema and set retention; does nothing when both are so already.

    `ConflictError` when the directory was written by a newer version or by a changed migration.
    """
    files = shipped() if migrations is None else list(migrations)
    engine.command(
        "CREATE TABLE IF NOT EXISTS windvane_migrations (Version UInt32, Name String, Checksum String, "
        "AppliedAt DateTime DEFAULT now()) ENGINE = MergeTree ORDER BY Version"
    )
    done = _applied(engine)
    _check(files, done, engine.database)
    for migration in files:
        if migration.version not in done:
            _apply(engine, migration)
    for migration in files:
        for signal, table, column in migration.aging:
            _age(engine, table, column, (retention or Retention()).of(signal))


def shipped() -> list[Migration]:
    """The migrations that come with this version, in order."""
    found = [
        Migration(int(match[1]), match[2], file.read_text(encoding="utf-8"))
        for file in resources.files("windvane.store").joinpath("schema").iterdir()
        if (match := _FILE.fullmatch(file.name))
    ]
    return sorted(found, key=lambda migration: migration.version)


def split(sql: str) -> list[str]:
    """Statements separated by `;`, comments removed; quoted text is left alone."""
    statements, current = [], ""
    for word in _TOKEN.findall(sql):
        if word == ";":
            statements.append(current.strip())
            current = ""
        elif not word.startswith(("--", "/*")):
            current += word
    return [statement for statement in [*statements, current.strip()] if statement]


def _applied(engine: Engine) -> dict[int, str]:
    frame = engine.query("SELECT Version, Checksum FROM windvane_migrations ORDER BY Version")
    return dict(zip(frame["Version"].tolist(), frame["Checksum"].tolist(), strict=True))


def _check(files: Sequence[Migration], done: Mapping[int, str], database: str) -> None:
    known = {migration.version: migration for migration in files}
    for version, checksum in done.items():
        if version not in known:
            raise ConflictError(
                f"database {database} has migration {version:04d}, unknown to this version: use a newer one"
            )
        if known[version].checksum != checksum:
            raise ConflictError(f"migration {version:04d}_{known[version].name} changed after it ran in {database}")


def _apply(engine: Engine, migration: Migration) -> None:
    done = bool(migration.unless) and len(engine.query(migration.unless)) > 0
    for statement in () if done else migration.statements:
        engine.command(statement)
    engine.command(
        "INSERT INTO windvane_migrations (Version, Name, Checksum) SELECT {v:UInt32}, {n:String}, {c:String}",
        {"v": migration.version, "n": migration.name, "c": migration.checksum},
    )


def _age(engine: Engine, table: str, column: str, seconds: float | None) -> None:
    wanted = None if seconds is None else f"toDateTime({column}) + toIntervalSecond({round(seconds)})"
    frame = engine.query(
        "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = {t:String}", {"t": table}
    )
    if frame.empty:
        raise ConflictError(f"retention is declared for table {table}, which does not exist")
    match = _TTL.search(str(frame["engine_full"][0]))
    present = match[1].strip() if match else None
    if present == wanted:
        return
    engine.command(f"ALTER TABLE `{table}` " + ("REMOVE TTL" if wanted is None else f"MODIFY TTL {wanted}"))


def _seconds(text: str) -> float | None:
    if text == "none":
        return None
    seconds = parse_duration(text)
    if seconds < 3_600:
        raise BadInputError(f"retention {text!r} is shorter than an hour (use none to keep for ever)")
    return seconds
