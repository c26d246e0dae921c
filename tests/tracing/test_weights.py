"""Weights of spans: the function, and the engine's expression against it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.store.embedded import EmbeddedEngine
from windvane.tracing.weights import SQL, weight


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("", 1), ("ot=th:0", 1), ("ot=th:8", 2), ("ot=th:c", 4), ("ot=th:fd70a4", 1 / (1 - 0xFD70A4 / 2**24)),
        ("ot=rv:123;th:8", 2), ("a=1, ot=th:8;rv:1,b=2", 2), ("\tot=th:8 ,b=2", 2),
        ("ot=th:ffffffffffffff", 2**56), ("ot=th:" + "f" * 15, 1), ("ot=th:", 1), ("ot=th:8g", 1), ("ot=th:F", 1),
        ("x=ot=th:8", 1), ("not=th:8", 1), ("t@ot=th:8", 1), ("ot=ath:8", 1), ("a=th:8,ot=rv:1", 1),
    ],
)  # fmt: skip
def test_thresholds(state: str, expected: float) -> None:
    assert weight(state) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("kind", "param", "expected"),
    [
        ("probabilistic", "0.25", 4), ("probabilistic", "1", 1), ("probabilistic", "1e-3", 1000),
        ("probabilistic", ".5", 2), ("const", "0.25", 1), ("probabilistic", "0", 1), ("probabilistic", "-1", 1),
        ("probabilistic", "2", 1), ("probabilistic", "nan", 1), ("probabilistic", "1e-300", 1),
        ("probabilistic", "", 1),
    ],
)  # fmt: skip
def test_samplers_of_jaegers_clients(kind: str, param: str, expected: float) -> None:
    assert weight("", kind, param) == pytest.approx(expected)
    assert weight("ot=th:8", kind, param) == 2, "the threshold is nearer to what was done"


_DIGITS = st.text("0123456789abcdefF", max_size=15)
_MEMBERS = st.one_of(
    st.builds("ot=th:{}".format, _DIGITS),
    st.builds("ot=rv:{};th:{}".format, _DIGITS, _DIGITS),
    st.text("ot=h:;, \t8a", max_size=12),
)
_STATES = st.lists(_MEMBERS, max_size=3).map(",".join)
_PARAMS = st.one_of(
    st.floats(0, 1).map(repr), st.text("0123456789.eE+-xn ", max_size=6), st.sampled_from(["inf", "nan", "1e-17"])
)
_SPANS = st.tuples(_STATES, st.sampled_from(["", "probabilistic", "const"]), _PARAMS)


@pytest.fixture(scope="module")
def store(data_directory: Path) -> Iterator[EmbeddedEngine]:
    engine = EmbeddedEngine.open(data_directory, database="weights")
    yield engine
    engine.command("DROP DATABASE weights")
    engine.close()


@settings(max_examples=15, deadline=None)
@given(spans=st.lists(_SPANS, min_size=1, max_size=300))
def test_the_engine_computes_the_same(store: EmbeddedEngine, spans: list[tuple[str, str, str]]) -> None:
    store.command(
        "CREATE OR REPLACE TABLE weights (N UInt32, TraceState String,"
        " SpanAttributes Map(LowCardinality(String), String)) ENGINE = Memory"
    )
    attributes = [{"sampler.type": kind, "sampler.param": param} for _, kind, param in spans]
    frame = {"N": range(len(spans)), "TraceState": [state for state, _, _ in spans], "SpanAttributes": attributes}
    store.insert_frame("weights", pd.DataFrame(frame))
    found = store.query(f"SELECT {SQL} AS W FROM weights ORDER BY N")["W"].tolist()
    assert found == pytest.approx([weight(*span) for span in spans], rel=1e-12)
