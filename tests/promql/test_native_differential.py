"""The same native histograms in a real Prometheus 2.42 and in the store: every generated query must agree."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import promql_peer as peer
import pytest
from native_queries import SECONDS, START, Generator, Query, data
from promql_answers import Numbers, difference, normal, ours
from promql_samples import store

from windvane.promql.engine import QueryEngine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate

pytestmark = pytest.mark.skipif(not peer.installed(), reason=peer.MISSING)
SEED = 42
BLOCKS = max(1, int(os.environ.get("WINDVANE_DIFFERENTIAL_BLOCKS", "12")) // 6)
"""Of 25 queries each, every one as an instant and as a range query; as many as a sixth of those of floats."""


@pytest.fixture(scope="module")
def pair(data_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[QueryEngine, peer.Peer]]:
    """Both engines on the same histograms."""
    series = data(SEED)
    engine = EmbeddedEngine.open(data_directory, database="native_differential")
    migrate(engine, Retention(default=None))
    store(engine, series)
    with peer.running_native(tmp_path_factory.mktemp("prometheus"), series) as other:
        yield QueryEngine(engine), other
    engine.command("DROP DATABASE native_differential")
    engine.close()


@pytest.mark.parametrize("block", range(BLOCKS))
def test_generated_queries_agree(pair: tuple[QueryEngine, peer.Peer], block: int) -> None:
    generator, rng = Generator(2000 + block), np.random.default_rng(block)
    wrong, found = [], 0
    for _ in range(25):
        query = generator.query()
        at = START + int(rng.integers(600, SECONDS)) * 1000 + 313
        step = int(rng.choice([15_000, 60_000, 137_000, 600_000]))
        unlike, points = compared(pair, query, (at, at + step * int(rng.integers(1, 20)), step))
        found += points
        wrong += [f"{query.shown()} at {at} step {step}: {unlike}"] if unlike else []
    assert not wrong, "\n".join(wrong)
    assert found > 100, "hardly anything was compared"


def compared(pair: tuple[QueryEngine, peer.Peer], query: Query, times: tuple[int, int, int]) -> tuple[str, int]:
    """How the answers differ, as an instant query at the first time or as a range query; how many points there were."""
    engine, other = pair
    asked = query.shown()
    answers = [
        (ours(lambda: engine.instant(asked, times[0])), _theirs(query, lambda text: other.instant(text, times[0]))),
        (ours(lambda: engine.range(asked, *times)), _theirs(query, lambda text: other.range(text, *times))),
    ]
    points = 0
    for mine, theirs in answers:
        if found := difference(normal(mine), theirs):
            return f"{found} {mine.get('error', '')}"[:1500], points
        points += sum(map(len, normal(mine)[1].values()))
    return "", points


def _theirs(query: Query, ask: Callable[[str], dict[str, Any]]) -> Any:
    """The answer of 2.42 as Prometheus 3 has it."""
    kind, series = normal(ask(query.text))
    assert kind in {"vector", "matrix"}, f"{query.text}: {series}"
    if not query.operation:
        return kind, _each(series, query)
    series = {_nameless(labels): points for labels, points in series.items()}
    if isinstance(query.right, float):
        return kind, _each(series, query)
    right = {_nameless(labels): dict(points) for labels, points in normal(ask(query.right))[1].items()}
    differences = {
        labels: [(time, _minus(numbers, right[labels][time])) for time, numbers in points if time in right[labels]]
        for labels, points in series.items()
        if labels in right
    }
    return kind, {labels: points for labels, points in differences.items() if points}


def _each(series: Any, query: Query) -> Any:
    return {
        labels: [(time, {key: query.corrected(value) for key, value in numbers.items()}) for time, numbers in points]
        for labels, points in series.items()
    }


def _nameless(labels: Any) -> Any:
    return tuple(pair for pair in labels if pair[0] != "__name__")


def _minus(left: Numbers, right: Numbers) -> Numbers:
    """A difference as it is shown: the zero bucket (whose rule is 3) only if it counts more than nothing."""
    found = {key: left.get(key, 0.0) - right.get(key, 0.0) for key in left.keys() | right.keys()}
    return {key: value for key, value in found.items() if value > 0 or not (isinstance(key, tuple) and key[0] == 3)}
