"""Whatever parses is either answered or refused in words: nothing in the engine breaks on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from promql_samples import TestSeries, store
from promql_trees import expressions

from windvane.kit.errors import WindvaneError
from windvane.promql.engine import QueryEngine
from windvane.promql.value import MatrixResult
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate

NAMES = ["a", "up", "job:x:rate5m", "sum", "offset", "and", "step", "fill", "_x1", "start", "a.metric"]


@pytest.fixture(scope="module")
def queries(data_directory: Path) -> Iterator[QueryEngine]:
    """One or two series of every name that expressions are made of."""
    engine = EmbeddedEngine.open(data_directory, database="any_query")
    migrate(engine, Retention(default=None))
    times = np.arange(0, 600_000, 30_000)
    values = np.array([1.0, 5.0, np.nan, 2.0, np.inf, -3.0, 0.0, 4.0, 4.0, 8.0] * 2)
    series = [
        TestSeries({"__name__": name, "job": "api", "le": "1"}, times, np.roll(values, len(name))) for name in NAMES
    ]
    series += [TestSeries({"__name__": name, "job": "web", "x": "ab"}, times[::3], values[::3]) for name in NAMES[:4]]
    store(engine, series)
    yield QueryEngine(engine)
    engine.command("DROP DATABASE any_query")
    engine.close()


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(expressions())
def test_every_query_is_answered_or_refused(queries: QueryEngine, text: str) -> None:
    with contextlib.suppress(WindvaneError):
        queries.instant(text, 300_000)
    with contextlib.suppress(WindvaneError):
        value = queries.range(text, 0, 600_000, 60_000).value
        assert isinstance(value, MatrixResult)
        assert len(set(map(str, value.metrics))) == len(value.metrics)
