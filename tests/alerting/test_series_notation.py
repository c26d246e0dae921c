"""The notation of series in unit-test files."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.alerting.series_notation import metric_text, parse_metric, parse_values
from windvane.kit.errors import BadInputError
from windvane.store.series import STALE_BITS


def shown(text: str) -> list[float | None]:
    found = parse_values(text)
    pairs = zip(found.values.tolist(), found.present.tolist(), strict=True)
    return [value if present else None for value, present in pairs]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", []),
        ("1 2.5 -3", [1, 2.5, -3]),
        ("1x2", [1, 1, 1]),
        ("0+10x3", [0, 10, 20, 30]),
        ("5-2x2", [5, 3, 1]),
        ("-1-1x1", [-1, -2]),
        ("_ 1 _x2 2", [None, 1, None, None, 2]),
        ("1e3 .5 inf -Inf", [1000, 0.5, float("inf"), float("-inf")]),
        ("_x0 1x0", [1]),
        ("1+0.1x2", [1, 1.1, 1.1 + 0.1]),
    ],
)
def test_values(text: str, values: list[float | None]) -> None:
    assert shown(text) == values


def test_the_end_of_a_series_is_the_marker() -> None:
    found = parse_values("1 stale NaN")
    bits = found.values.view(np.uint64).tolist()
    assert bits[1] == STALE_BITS != bits[2]


@pytest.mark.parametrize("text", ["x", "1+", "1x", "x3", "1+1", "_+1x2", "1 + 1x2", "1+1x99999999999", "1x-1", "1x1.5"])
def test_what_is_no_value(text: str) -> None:
    with pytest.raises(BadInputError):
        parse_values(text)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("up", {"__name__": "up"}),
        ("up{a=\"b\", c='d'}", {"__name__": "up", "a": "b", "c": "d"}),
        ('{__name__="x",a="\\"}"}', {"__name__": "x", "a": '"}'}),
        ("{}", {}),
        ('{"utf.8","l.1"="v"}', {"__name__": "utf.8", "l.1": "v"}),
    ],
)
def test_metrics(text: str, labels: dict[str, str]) -> None:
    assert parse_metric(text) == labels


@pytest.mark.parametrize(
    "text", ["up[5m]", "up + 1", 'up{a=~"b"}', "up offset 5m", "up{", "1", "sum(up)", 'a{__name__="b"}']
)
def test_what_is_no_metric(text: str) -> None:
    with pytest.raises(BadInputError):
        parse_metric(text)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,5}", fullmatch=True), st.text(min_size=1, max_size=8), max_size=3))
@settings(max_examples=100)
def test_a_printed_metric_reads_back(labels: dict[str, str]) -> None:
    kept = {
        name: value for name, value in labels.items() if all(ord(one) < 0xD800 or ord(one) > 0xDFFF for one in value)
    }
    full = {"__name__": "m", **kept}
    assert parse_metric(metric_text(full)) == full


@given(st.text("0123456789.+-x_ staleinfNa{}", max_size=30))
@settings(max_examples=300)
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(BadInputError):
        parse_values(text)
