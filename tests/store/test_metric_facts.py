"""Native histograms, exemplars and metadata on their way into the store."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError
from windvane.store.embedded import EmbeddedEngine
from windvane.store.metric_facts import (
    HISTOGRAMS,
    Metadata,
    MetadataWriter,
    histogram_block,
    write_exemplars,
    write_histograms,
)


class Histogram(NamedTuple):
    schema: int = 0
    hint: int = 0
    is_float: bool = False
    zero_threshold: float = 0.001
    zero_count: float = 0.0
    count: float = 0.0
    sum: float = 0.0
    positive_index: list[int] = []  # noqa: RUF012 - never changed
    positive_count: list[float] = []  # noqa: RUF012
    negative_index: list[int] = []  # noqa: RUF012
    negative_count: list[float] = []  # noqa: RUF012
    custom_bounds: list[float] = []  # noqa: RUF012


IDS, TIMES = np.array([7, 2**64 - 1], np.uint64), np.array([1_700_000_000_000, 1_700_000_000_001], np.int64)


def test_histograms_keep_every_field(engine: EmbeddedEngine) -> None:
    rows = [
        Histogram(3, 1, True, 0.5, 1.5, 9.25, -2.0, [-4, 0, 7], [1.0, 2.0, 4.5], [2], [0.25]),
        Histogram(-53, 2, custom_bounds=[0.1, 1.0], positive_index=[0, 2], positive_count=[3.0, 4.0], count=7.0),
    ]
    assert engine.insert_payload(HISTOGRAMS, histogram_block(IDS, TIMES, rows) * 2) == 4
    engine.command("TRUNCATE TABLE native_histograms")
    assert write_histograms(engine, IDS, TIMES, rows) == 2
    found = engine.query("SELECT * EXCEPT Time, toUnixTimestamp64Milli(Time) AS t FROM native_histograms ORDER BY t")
    first, second = found.iloc[0], found.iloc[1]
    assert (first["Id"], first["t"], first["Schema"], first["Hint"], first["IsFloat"]) == (7, TIMES[0], 3, 1, 1)
    assert (first["ZeroThreshold"], first["ZeroCount"], first["Count"], first["Sum"]) == (0.5, 1.5, 9.25, -2.0)
    assert (list(first["PositiveIndex"]), list(first["PositiveCount"])) == ([-4, 0, 7], [1.0, 2.0, 4.5])
    assert (list(first["NegativeIndex"]), list(first["NegativeCount"])) == ([2], [0.25])
    assert (second["Id"], second["Schema"], list(second["CustomBounds"])) == (2**64 - 1, -53, [0.1, 1.0])


def test_exemplars_keep_their_labels(engine: EmbeddedEngine) -> None:
    labels = [{"trace_id": "ab", "ключ": "值"}, {}]
    assert write_exemplars(engine, IDS, TIMES, np.array([0.5, 2.0]), labels) == 2
    found = engine.query("SELECT Value, Labels FROM exemplars ORDER BY Time")
    assert found["Value"].tolist() == [0.5, 2.0]
    assert found["Labels"].tolist() == labels


def test_metadata_is_written_when_new_and_again_after_an_hour(engine: EmbeddedEngine) -> None:
    clock = ManualClock()
    writer = MetadataWriter(engine, clock)
    up, down = Metadata("up", "gauge", "Is it?"), Metadata("down", "counter", "How often", "seconds")
    assert writer.write([up, down, up]) == 2
    assert writer.write([up]) == 0
    assert writer.write([Metadata("up", "gauge", "Is it really?")]) == 1
    clock.advance(3_600)
    assert writer.write([up, down]) == 2
    rows = engine.query("SELECT Family, Type, Help, Unit FROM metric_metadata FINAL ORDER BY ALL")
    assert rows.to_numpy().tolist() == [
        ["down", "counter", "How often", "seconds"],
        ["up", "gauge", "Is it really?", ""],
        ["up", "gauge", "Is it?", ""],
    ]


def test_nonsense_is_refused(engine: EmbeddedEngine) -> None:
    with pytest.raises(BadInputError, match="'counter2' is no metric type"):
        MetadataWriter(engine).write([Metadata("up", "counter2")])
    with pytest.raises(BadInputError, match="different lengths"):
        write_exemplars(engine, IDS, TIMES[:1], np.zeros(1), [{}])
    assert write_exemplars(engine, IDS[:0], TIMES[:0], np.zeros(0), []) == 0
