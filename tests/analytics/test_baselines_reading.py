"""What baselines read of a store: every kind of scope, from counters as proxies write them."""

from __future__ import annotations

import numpy as np
import pytest
from seeing_series import FRONT, NOBODY, NOW, RATINGS, REVIEWS, Calls, both, minutes, write

from windvane.analytics.baselines import Scope, Watcher, WatchSettings
from windvane.analytics.baselines.reading import Reader
from windvane.api.windvane.analytics_releases import range_asker
from windvane.promql.engine import QueryEngine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.series import SampleWriter

SIZE = 30


def calls() -> list[Calls]:
    """front calls reviews, which calls ratings; a third of the latter never arrive, and the last minutes are slow."""
    rate, none = minutes(SIZE, 600), minutes(SIZE, 0)
    slow = minutes(SIZE, 8)
    slow[-5:] = 150
    lost = minutes(SIZE, 0)
    lost[-5:] = 200
    return [
        *both(NOBODY, FRONT, rate, none, slow + 20)[:1],
        *both(FRONT, REVIEWS, rate, none, slow + 10),
        Calls("destination", REVIEWS, RATINGS, rate - lost, none, slow),
        Calls("source", REVIEWS, RATINGS, rate, lost, slow + 1, flags="UF"),
    ]


@pytest.fixture
def written(engine: EmbeddedEngine) -> EmbeddedEngine:
    write(engine, calls())
    spans = {"service": "ratings.shop", "span_name": "GET /ratings", "span_kind": "SPAN_KIND_SERVER"}
    named = [{"__name__": "traces_spanmetrics_calls_total", "status_code": "STATUS_CODE_UNSET", **spans},
             {"__name__": "traces_spanmetrics_calls_total", "status_code": "STATUS_CODE_ERROR", **spans}]  # fmt: skip
    times = np.tile(1_000 * (NOW - 60 * np.arange(SIZE)[::-1]), 2).astype(np.int64)
    counts = np.concatenate([np.cumsum(minutes(SIZE, 90)), np.cumsum(minutes(SIZE, 10))])
    SampleWriter(engine).write([one for one in named for _ in range(SIZE)], times, counts)
    return engine


def test_every_kind_of_scope_is_read(written: EmbeddedEngine) -> None:
    reader = Reader(range_asker(QueryEngine(written)), WatchSettings().kinds)
    found = dict(reader.read(NOW // 60 - 3, 4))
    assert set(found["service"].scopes) == {Scope("service", "shop", name) for name in ("front", "reviews", "ratings")}
    assert set(found["edge"].scopes) == {
        Scope("edge", "shop", "reviews", "front.shop"), Scope("edge", "shop", "ratings", "reviews.shop")
    }  # fmt: skip
    assert Scope("version", "shop", "ratings", "v1") in found["version"].scopes
    assert Scope("workload", "shop", "ratings", "ratings-v1") in found["workload"].scopes
    edge = found["edge"].scopes.index(Scope("edge", "shop", "ratings", "reviews.shop"))
    assert found["edge"].requests[edge] == pytest.approx([600] * 4), "the caller's report, which has the lost ones"
    assert found["edge"].errors[edge] == pytest.approx([200] * 4)
    assert found["edge"].latency[edge][-1] > 300
    assert found["edge"].mean[edge][-1] > 100
    assert found["edge"].mean[edge][-1] < found["edge"].latency[edge][-1]
    assert not any(np.isfinite(each.mean).any() for _, each in reader.read(NOW // 60 - 3, 4, means=False))
    assert found["operation"].scopes == [Scope("operation", "shop", "ratings", "GET /ratings")]
    assert found["operation"].requests[0] == pytest.approx([100] * 4)
    assert found["operation"].errors[0] == pytest.approx([10] * 4)


def test_a_young_mesh_in_a_store_has_its_fault_found(written: EmbeddedEngine) -> None:
    watcher = Watcher(range_asker(QueryEngine(written)))
    found = {(one.scope, one.incident.signal) for one in watcher.advance(NOW).found}
    assert (Scope("service", "shop", "ratings"), "latency") in found
    assert (Scope("edge", "shop", "ratings", "reviews.shop"), "errors") in found
    assert watcher.watched.since == NOW - (SIZE - 2) * 60
    assert watcher.watched.scopes == {"service": 3, "edge": 2, "version": 0, "workload": 0, "operation": 1}
