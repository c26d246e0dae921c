"""Native histograms in answers, as Prometheus's API documents them."""

from __future__ import annotations

import numpy as np
import orjson

from windvane.api.prometheus_json import query_data
from windvane.api.prometheus_native import histogram_json
from windvane.promql.labels import Labels, Pool
from windvane.promql.native.columns import Grid
from windvane.promql.native.histogram import CUSTOM, Histogram
from windvane.promql.value import MatrixResult, NativeSamples, VectorResult

BOTH_SIDES = Histogram(
    count=7,
    sum=-1.5,
    zero_threshold=0.001,
    zero_count=1,
    positive_index=np.array([0, 1, 3], np.int32),
    positive_count=np.array([2.0, 0, 1]),
    negative_index=np.array([1], np.int32),
    negative_count=np.array([3.0]),
)
JSON = {
    "count": "7",
    "sum": "-1.5",
    "buckets": [[1, "-2", "-1", "3"], [3, "-0.001", "0.001", "1"], [0, "0.5", "1", "2"], [0, "4", "8", "1"]],
}


def labels() -> Labels:
    return Labels.of(Pool(), [{"__name__": "h"}, {"__name__": "f"}])


def test_bounds_say_what_belongs_to_them_and_empty_buckets_are_left_out() -> None:
    assert orjson.loads(histogram_json(BOTH_SIDES)) == JSON


def test_custom_buckets_are_closed_above_and_the_first_at_both_ends() -> None:
    custom = Histogram(
        schema=CUSTOM,
        count=3,
        sum=4,
        positive_index=np.array([0, 1, 2], np.int32),
        positive_count=np.ones(3),
        custom_bounds=np.array([0.5, 2.0]),
    )
    assert orjson.loads(histogram_json(custom))["buckets"] == [
        [3, "-Inf", "0.5", "1"],
        [0, "0.5", "2", "1"],
        [0, "2", "+Inf", "1"],
    ]


def test_a_histogram_without_observations_has_no_buckets() -> None:
    assert histogram_json(Histogram()) == b'{"count":"0","sum":"0"}'


def test_a_vector_has_a_histogram_in_place_of_a_value() -> None:
    native = Grid.of([BOTH_SIDES, None])
    result = orjson.loads(query_data(VectorResult(1500, labels(), np.array([np.nan, 4.0]), native)))["result"]
    assert result == [
        {"metric": {"__name__": "h"}, "histogram": [1.5, JSON]},
        {"metric": {"__name__": "f"}, "value": [1.5, "4"]},
    ]
    assert orjson.loads(query_data(VectorResult(1500, labels(), np.zeros(2), native), limit=1))["result"] == result[:1]


def test_a_series_may_have_both_kinds_of_points() -> None:
    histograms = Grid.of([BOTH_SIDES, Histogram()])
    native = NativeSamples(np.array([0, 2, 2]), np.array([1000, 3000]), histograms)
    matrix = MatrixResult(labels(), np.array([0, 1, 2]), np.array([2000, 2000]), np.array([1.0, 2.0]), native)
    both, floats = orjson.loads(query_data(matrix))["result"]
    assert both["values"] == [[2, "1"]]
    assert both["histograms"] == [[1, JSON], [3, {"count": "0", "sum": "0"}]]
    assert floats == {"metric": {"__name__": "f"}, "values": [[2, "2"]]}


def test_a_series_of_histograms_alone_has_no_values() -> None:
    native = NativeSamples(np.array([0, 1, 1]), np.array([1000]), Grid.of([BOTH_SIDES]))
    matrix = MatrixResult(labels(), np.array([0, 0, 1]), np.array([2000]), np.array([2.0]), native)
    assert "values" not in orjson.loads(query_data(matrix))["result"][0]
