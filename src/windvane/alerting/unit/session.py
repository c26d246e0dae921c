"""A store of its own for the tests of rules: in this process, in a temporary directory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from windvane.alerting.unit.files import load_tests
from windvane.alerting.unit.outcome import FileOutcome
from windvane.alerting.unit.run import run_file
from windvane.kit.yaml_nodes import FileError
from windvane.store.api import Engine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate


@contextmanager
def temporary_engine() -> Iterator[Engine]:
    """A migrated, empty engine that keeps samples of any age; gone afterwards."""
    with TemporaryDirectory(prefix="windvane-rules-") as directory:
        engine = EmbeddedEngine.open(directory)
        try:
            migrate(engine, Retention(default=None))
            without_partitions(engine)
            yield engine
        finally:
            engine.close()


def without_partitions(engine: Engine) -> None:
    """A test of months touches hundreds of days: partitions, which are there to expire, would only cost time."""
    engine.command("CREATE TABLE flat AS samples ENGINE = MergeTree ORDER BY (Id, Time)")
    engine.command("DROP TABLE samples")
    engine.command("RENAME TABLE flat TO samples")


def run_files(paths: Sequence[Path], engine: Engine) -> Iterator[FileOutcome]:
    """The outcome of each file, one after the other."""
    for path in paths:
        try:
            file = load_tests(path)
        except FileError as error:
            yield FileOutcome(path, error=error.message)
        else:
            yield run_file(file, engine)
