"""Announcements of a series that merges have joined: the newest one counts for a selection kept from before."""

from __future__ import annotations

import numpy as np

from windvane.promql.engine import QueryEngine
from windvane.promql.parts import Parts, change
from windvane.promql.value import VectorResult
from windvane.store.api import Engine
from windvane.store.series import SampleWriter

DAY_MS = 86_400_000


def test_a_series_that_was_announced_again_is_found_after_a_merge(engine: Engine) -> None:
    writer, queries = SampleWriter(engine), QueryEngine(engine)
    for day in range(1, 6):
        writer.write([{"__name__": "m"}], np.array([day * DAY_MS]), np.array([float(day)]))
        engine.command("OPTIMIZE TABLE series FINAL")
        found = queries.instant("sum(m)", day * DAY_MS).value
        assert isinstance(found, VectorResult)
        assert found.values.tolist() == [float(day)]


def test_parts_of_a_collapsing_table_are_fresh_by_their_blocks() -> None:
    before = Parts({"all_1_1_0": 1, "all_2_2_0": 1}, collapsing=True)
    assert change(before, Parts({"all_1_2_1": 1}, collapsing=True)).fresh == ()
    assert change(before, Parts({"all_1_3_1": 1}, collapsing=True)).fresh == ("all_1_3_1",)
    assert change(before, Parts({"all_1_2_1_4": 1}, collapsing=True)).fresh is None
    assert change(before, Parts({"all_3_3_0": 1}, collapsing=True)).fresh is None
