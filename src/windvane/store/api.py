"""The store's port: what every other room may ask of a database engine.

Two engines implement it: chDB in this process (`windvane.store.embedded`) and, later, a
ClickHouse server over HTTP. SQL is ClickHouse's; table names are unqualified and resolve in
`database` (one database a tenant).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pandas as pd

from windvane.kit.errors import WindvaneError
from windvane.store.blocks import Block


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one query; reaching one raises `LimitError`."""

    seconds: float = 30.0
    memory_bytes: int = 2 << 30
    rows: int | None = None


DEFAULT_LIMITS = Limits()


class StoppedError(WindvaneError):
    """A query was ended by `Engine.stop`."""


@dataclass(frozen=True, slots=True)
class PayloadInsert:
    """An `INSERT … SELECT` that reads bytes in one of ClickHouse's input formats.

    `select` contains `{source}` once, where the engine puts the table function that yields the
    payload (`file(…)` in the process, `input(…)` over HTTP). `structure` is the column list that
    the format yields; `settings` carries format settings such as `format_schema`.
    """

    table: str
    columns: Sequence[str]
    select: str
    format: str
    structure: str
    settings: Mapping[str, str | int] = field(default_factory=dict)


class Engine(Protocol):
    """A database. Every method blocks, is safe from any thread, and may run in parallel.

    Errors: `BadInputError` when a payload does not decode, `LimitError` when a bound was
    reached, `UnavailableError` when the engine does not answer, `OverloadedError` when full.
    """

    @property
    def database(self) -> str:
        """The database that unqualified table names resolve in."""

    @property
    def changes(self) -> int | None:
        """Grows with every statement that may have altered data, before its caller is answered.

        Equal numbers: nothing acknowledged in between. None where others may write to the same tables.
        What the engine does by itself (merges, expiry, deletions under way) is not counted.
        """

    def query(
        self,
        sql: str,
        params: Mapping[str, Any] | None = None,
        *,
        limits: Limits = DEFAULT_LIMITS,
    ) -> pd.DataFrame:
        """Rows of a SELECT, one DataFrame column per result column, in the order the SQL gives.

        `params` fill ClickHouse's `{name:Type}` placeholders. An empty result keeps its columns.
        Strings must be valid UTF-8: select raw bytes through `hex()`.
        """

    def stream(
        self,
        sql: str,
        params: Mapping[str, Any] | None = None,
        *,
        limits: Limits = DEFAULT_LIMITS,
        tag: str = "",
        in_turn: bool = False,
    ) -> Generator[Block, None, None]:
        """Rows of a SELECT of numbers (integers, floats, `DateTime64`), block by block, in no order but the SQL's.

        A block's memory is valid until the next is asked for. Closing the generator early stops the
        query. With a `tag`, unique among running queries, `stop(tag)` ends it from any thread. `in_turn`
        asks for one part after another, each in the table's order, which costs nothing where most rows are
        wanted and is not to be relied on; the SQL then has no SETTINGS of its own.
        """

    def stop(self, tag: str) -> None:
        """End the streamed query of this tag, whose reader gets a `StoppedError`; nothing if there is none."""

    def command(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        """Run a statement that returns nothing (DDL, ALTER, INSERT … SELECT)."""

    def insert_payload(self, insert: PayloadInsert, payload: bytes) -> int:
        """Decode and insert `payload` in the engine; the number of rows stored. All or nothing."""

    def insert_frame(self, table: str, frame: pd.DataFrame) -> int:
        """Insert a DataFrame whose columns are named as the table's; the number of rows stored."""

    def close(self) -> None:
        """Flush and let go of the data directory. Idempotent."""
