"""Results read block by block, without pandas."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from windvane.kit.errors import BadInputError, InternalError, LimitError
from windvane.store.api import Limits, StoppedError
from windvane.store.embedded import EmbeddedEngine


def test_columns_of_numbers_come_as_they_are(engine: EmbeddedEngine) -> None:
    sql = (
        "SELECT number AS n, toInt64(number) - 5 AS i, number / 3 AS f, toUInt8(number) AS b, "
        "toDateTime64(number, 3, 'UTC') AS t FROM numbers({rows:UInt64}) ORDER BY n"
    )
    columns: dict[str, list[np.ndarray]] = {}
    for block in engine.stream(sql, {"rows": 200_000}):
        for name in block.columns:
            columns.setdefault(name, []).append(block.column(name).copy())
    whole = {name: np.concatenate(parts) for name, parts in columns.items()}
    number = np.arange(200_000)
    assert {name: column.dtype.str for name, column in whole.items()} == {
        "n": "<u8", "i": "<i8", "f": "<f8", "b": "|u1", "t": "<i8",
    }  # fmt: skip
    assert (whole["n"] == number).all()
    assert (whole["i"] == number - 5).all()
    assert (whole["f"] == number / 3).all()
    assert (whole["b"] == number % 256).all()
    assert (whole["t"] == number * 1000).all()


def test_an_empty_result_has_no_blocks(engine: EmbeddedEngine) -> None:
    assert list(engine.stream("SELECT number FROM numbers(10) WHERE number > 20")) == []


def test_what_goes_wrong_has_a_name_and_the_engine_lives(engine: EmbeddedEngine) -> None:
    with pytest.raises(BadInputError):
        list(engine.stream("SELECT nothing FROM nowhere"))
    with pytest.raises(LimitError):
        list(engine.stream("SELECT number FROM numbers(10000000)", limits=Limits(rows=1000)))
    with pytest.raises(InternalError, match="of type String cannot be read in blocks"):
        list(engine.stream("SELECT 'a' AS s"))
    assert engine.query("SELECT 1 AS one")["one"].tolist() == [1]


def test_a_reader_may_leave_early(engine: EmbeddedEngine) -> None:
    blocks = engine.stream("SELECT number FROM numbers(10000000000)", tag="left")
    assert next(blocks).rows > 0
    blocks.close()  # type: ignore[attr-defined]
    left = "SELECT count() AS c FROM system.processes WHERE startsWith(query, '/* left */')"
    assert engine.query(left)["c"].tolist() == [0]
    assert engine.query("SELECT 1 AS one")["one"].tolist() == [1]


def test_a_query_that_gives_nothing_for_long_can_be_stopped(engine: EmbeddedEngine) -> None:
    failures: list[BaseException] = []

    def read() -> None:
        try:
            list(engine.stream("SELECT number FROM numbers(1e18) WHERE cityHash64(number) = 7", tag="endless-7"))
        except StoppedError as error:
            failures.append(error)

    engine.stop("nobody")
    thread = threading.Thread(target=read)
    thread.start()
    deadline = time.monotonic() + 30
    while thread.is_alive() and time.monotonic() < deadline:
        engine.stop("endless-7")
        thread.join(0.01)
    assert not thread.is_alive()
    assert [type(error) for error in failures] == [StoppedError]
