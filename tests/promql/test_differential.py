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

import math
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import promql_peer as peer
import pytest
from promql_queries import SECONDS, START, Generator, data
from promql_samples import store

from windvane.api.prometheus_json import query_data
from windvane.kit.errors import WindvaneError
from windvane.promql.engine import QueryEngine, QueryResult
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate

pytestmark = pytest.mark.skipif(not peer.installed(), reason=peer.MISSING)
SEED = 20
BLOCKS = int(os.environ.get("WINDVANE_DIFFERENTIAL_BLOCKS", "12"))
"""Of 25 queries each, every one as an instant and as a range query."""


@pytest.fixture(scope="module")
def pair(data_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[QueryEngine, peer.Peer]]:
    """Both engines on the same samples."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    series = data(SEED)
    engine = EmbeddedEngine.open(data_directory, database="differential")
    migrate(engine, Retention(default=None))
    store(engine, series)
    with peer.running(tmp_path_factory.mktemp("prometheus"), port, series) as other:
        yield QueryEngine(engine), other
    engine.command("DROP DATABASE differential")
    engine.close()


def normal(answer: dict[str, Any]) -> Any:
    """An answer as a value that does not depend on order: series by their labels, points as numbers."""
    if answer["status"] != "success":
        return ("error", answer["errorType"])
    kind, result = answer["data"]["resultType"], answer["data"]["result"]
    if kind in ("scalar", "string"):
        return kind, {(): [(float(result[0]), float(result[1]))]}
    series = {}
    for one in result:
        points = one["values"] if "values" in one else [one["value"]]
        series[tuple(sorted(one["metric"].items()))] = [(float(t), float(v)) for t, v in points]
    return kind, series


def ours(run: Callable[[], QueryResult]) -> dict[str, Any]:
    try:
        return {"status": "success", "data": orjson.loads(query_data(run().value))}
    except WindvaneError as error:
        return {"status": "error", "errorType": getattr(error, "error_type", error.kind), "error": error.message}


def close(left: float, right: float) -> bool:
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return left == right or abs(left - right) <= 1e-9 * max(abs(left), abs(right), 1e-3)


def difference(mine: Any, theirs: Any) -> str:
    if mine[0] != theirs[0]:
        return f"{mine} against {theirs}"[:400]
    if mine[0] == "error":
        return "" if mine == theirs else f"{mine} against {theirs}"
    if mine[1].keys() != theirs[1].keys():
        return f"series {sorted(mine[1].keys() ^ theirs[1].keys())[:4]} on one side only"
    for labels, points in theirs[1].items():
        own = mine[1][labels]
        if len(own) != len(points):
            return f"{labels}: {len(own)} points against {len(points)}"
        for (t1, v1), (t2, v2) in zip(own, points, strict=True):
            if t1 != t2 or not close(v1, v2):
                return f"{labels}: {v1!r} at {t1} against {v2!r} at {t2}"
    return ""


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
