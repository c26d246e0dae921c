"""Fixtures every room may use: golden files with one refresh switch, a store, a free port."""

from __future__ import annotations

import difflib
import itertools
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate

_database_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regen", action="store_true", help="write golden files anew instead of comparing")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Half of the examples that properties ask for, unless WINDVANE_EXAMPLES says another share: 1 for all of them."""
    share = float(os.environ.get("WINDVANE_EXAMPLES", "0.5"))
    for item in items:
        test = getattr(item, "obj", None)
        function = getattr(test, "__func__", test)
        asked = getattr(function, "_hypothesis_internal_use_settings", None)
        if function is not None and asked is not None:
            fewer = max(10, round(asked.max_examples * share))
            function._hypothesis_internal_use_settings = settings(asked, max_examples=min(asked.max_examples, fewer))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare text with `golden/<name>` beside the test; `pytest --regen` writes it instead."""
    folder = Path(request.path).parent / "golden"

    def check(name: str, text: str) -> None:
        file = folder / name
        if request.config.getoption("--regen"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            return
        wanted = file.read_text(encoding="utf-8") if file.exists() else ""
        if wanted != text:
            diff = difflib.unified_diff(wanted.splitlines(), text.splitlines(), "golden", "now", lineterm="")
            pytest.fail(f"{name} differs (pytest --regen writes it anew):\n" + "\n".join(diff))

    return check


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A TCP port of 127.0.0.1 that nothing listens on at the moment."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


@pytest.fixture(scope="session")
def data_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory that all tests of this process share: the embedded engine has one a process."""
    directory = tmp_path_factory.mktemp("store")
    keeper = EmbeddedEngine.open(directory, database="keeper")
    yield directory
    keeper.close()


@pytest.fixture(scope="session")
def migrated(data_directory: Path) -> Iterator[EmbeddedEngine]:
    """A migrated engine that stays empty: the pattern of every test's own, which is four times quicker to copy."""
    opened = EmbeddedEngine.open(data_directory, database="migrated")
    migrate(opened, Retention(default=None))
    yield opened
    opened.close()


@pytest.fixture
def engine(data_directory: Path, migrated: EmbeddedEngine) -> Iterator[EmbeddedEngine]:
    """A migrated engine on a database of its own; nothing expires."""
    yield from _opened(data_directory, migrated)


def _opened(data_directory: Path, migrated: EmbeddedEngine) -> Iterator[EmbeddedEngine]:
    database = f"test_{next(_database_numbers)}"
    opened = EmbeddedEngine.open(data_directory, database=database)
    tables = migrated.query("SELECT create_table_query FROM system.tables WHERE database = currentDatabase()")
    for statement in tables["create_table_query"].tolist():
        opened.command(statement.replace(f"CREATE TABLE {migrated.database}.", f"CREATE TABLE {database}.", 1))
    opened.command(f"INSERT INTO windvane_migrations SELECT * FROM {migrated.database}.windvane_migrations")
    yield opened
    opened.command(f"DROP DATABASE `{database}`")
    opened.close()


@pytest.fixture(scope="module")
def log_store(data_directory: Path, migrated: EmbeddedEngine) -> Iterator[EmbeddedEngine]:
    """A migrated engine for a module whose tests each empty the tables of logs (`empty_logs`)."""
    yield from _opened(data_directory, migrated)


@pytest.fixture
def empty_logs(log_store: EmbeddedEngine) -> EmbeddedEngine:
    """The module's engine without log lines, access logs and spans: much quicker than a new one."""
    for table in ("otel_logs", "envoy_access_logs", "otel_traces"):
        log_store.command(f"TRUNCATE TABLE {table}")
    return log_store
