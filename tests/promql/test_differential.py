"""The same random samples in a real Prometheus and in the store: every generated query must agree.

Debian's Prometheus is a 2.x. What differs between it and Prometheus 3, which this engine follows, and
is kept out of the generated queries:

- windows are closed on the left in 2.x, open in 3.x (so are lookback and subquery grids);
- 2.x bounds a counter's extrapolation to zero before comparing it with the threshold;
- `.` in a regular expression matches a newline only in 3.x;
- 2.x sums and averages without compensation: results are compared to 1e-9 relative;
- atan2 drops the metric's name only in 3.x;
- predict_linear with `@` gives one step of a range query only in 2.x;
- names: holt_winters (2.x) is double_exponential_smoothing (3.x).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import promql_peer as peer
import pytest
from promql_answers import difference, normal, ours
from promql_queries import SECONDS, START, Generator, data
from promql_samples import store

from windvane.promql.engine import QueryEngine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate

pytestmark = pytest.mark.skipif(not peer.installed(), reason=peer.MISSING)
SEED = 20
BLOCKS = int(os.environ.get("WINDVANE_DIFFERENTIAL_BLOCKS", "12"))
"""Of 25 queries each, every one as an instant and as a range query."""


@pytest.fixture(scope="module")
def pair(data_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[QueryEngine, peer.Peer]]:
    """Both engines on the same samples."""
    series = data(SEED)
    engine = EmbeddedEngine.open(data_directory, database="differential")
    migrate(engine, Retention(default=None))
    store(engine, series)
    with peer.running(tmp_path_factory.mktemp("prometheus"), series) as other:
        yield QueryEngine(engine), other
    engine.command("DROP DATABASE differential")
    engine.close()


@pytest.mark.parametrize("block", range(BLOCKS))
def test_generated_queries_agree(pair: tuple[QueryEngine, peer.Peer], block: int) -> None:
    generator, rng = Generator(1000 + block), np.random.default_rng(block)
    wrong = []
    for _ in range(25):
        query = generator.query()
        at = START + int(rng.integers(600, SECONDS)) * 1000 + 313
        step = int(rng.choice([15_000, 60_000, 137_000, 600_000]))
        found = compared(pair, query, (at, at + step * int(rng.integers(1, 30)), step))
        wrong += [f"{query} at {at} step {step}: {found}"] if found else []
    assert not wrong, "\n".join(wrong)


def compared(pair: tuple[QueryEngine, peer.Peer], query: str, times: tuple[int, int, int]) -> str:
    """How the answers differ, as an instant query at the first time or as a range query."""
    engine, other = pair
    named = query.replace("double_exponential_smoothing", "holt_winters")
    answers = [
        (ours(lambda: engine.instant(query, times[0])), other.instant(named, times[0])),
        (ours(lambda: engine.range(query, *times)), other.range(named, *times)),
    ]
    for mine, theirs in answers:
        found = difference(normal(mine), normal(theirs))
        if found:
            return f"{found} {mine.get('error', '')} | {theirs.get('error', '')}"
    return ""
