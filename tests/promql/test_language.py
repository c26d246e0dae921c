"""What holds the language together: every function is there, places are right, literals are Go's."""

from __future__ import annotations

import numpy as np
import pytest

from windvane.promql.engine import QueryEngine
from windvane.promql.errors import QueryError
from windvane.promql.functions import REGISTRY
from windvane.promql.numbers import general
from windvane.promql.parse import parse
from windvane.promql.quoting import duration, quote
from windvane.promql.resolve import resolve
from windvane.promql.signatures import FUNCTIONS
from windvane.promql.strings import StringError, scan_string
from windvane.promql.syntax import Call, Number, Range, Selector, Subquery
from windvane.promql.value import Steps
from windvane.store.embedded import EmbeddedEngine
from windvane.store.series import SampleWriter

RESOLVED = {"start", "end", "range", "step"}


def test_every_function_is_implemented() -> None:
    assert REGISTRY.keys() == FUNCTIONS.keys() - RESOLVED


def test_a_querys_own_times_are_put_into_its_tree() -> None:
    steps = Steps(60_000, 660_000, 30_000)
    assert [resolve(parse(f"{name}()"), steps, instant=False) for name in ("start", "end", "range", "step")] == [
        Number(60.0), Number(660.0), Number(600.0), Number(30.0)
    ]  # fmt: skip
    subquery = resolve(parse("(a offset -step())[range() / 2:step() * 3] offset (1m - 30)"), steps, instant=False)
    assert isinstance(subquery, Subquery)
    assert (subquery.duration, subquery.step, subquery.offset) == (300_000, 90_000, 30_000)
    window = resolve(parse("a[min(1h, 2 ^ 3 * 1m % 7m)]"), steps, instant=False)
    assert isinstance(window, Range)
    assert (window.duration, window.duration_expr) == (60_000, None)
    instant = resolve(parse("step() + range()"), Steps(1, 1, 1), instant=True)
    assert instant == parse("0 + 0")


@pytest.mark.parametrize("text", ["a[step()]", "a[1m % range()]", "a[2 ^ 1e6]", "a[-1 ^ 0.5]", "a offset (1e9 * 100)"])
def test_a_duration_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(QueryError):
        resolve(parse(text), Steps(0, 0, 1), instant=True)


def test_info_reads_what_it_joins_with() -> None:
    call = resolve(parse('info(up, {region="eu"})'), Steps(0, 0, 1), instant=True)
    assert isinstance(call, Call)
    selector = call.args[1]
    assert isinstance(selector, Selector)
    assert [str(matcher) for matcher in selector.matchers] == ['__name__="target_info"', 'region="eu"']


def test_annotations_name_line_and_byte(engine: EmbeddedEngine) -> None:
    times = np.arange(0, 300_000, 60_000)
    labels = {"__name__": "requests", "job": "é"}
    SampleWriter(engine).write([labels] * len(times), times, np.arange(5.0))
    query = 'sum(\n  rate(requests{job="é"}[5m])) + \n (0 * sum(label_replace(rate(requests[5m]), "é", "", "", "")))'
    infos = QueryEngine(engine).instant(query, 300_000).infos
    assert [info.rpartition(" ")[2] for info in infos] == ["(2:8)", "(3:30)"]
    one_line = QueryEngine(engine).instant(query.replace("\n", ""), 300_000).infos
    assert [info.rpartition(" ")[2] for info in one_line] == ["(1:12)", "(1:68)"]


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0s"), (1, "1ms"), (1500, "1s500ms"), (90_000, "1m30s"), (3_600_000, "1h"), (129_600_000, "36h"),
        (86_400_000, "1d"), (604_800_000, "1w"), (31_536_000_000, "1y"), (31_536_000_001, "8760h1ms"),
        (-300_000, "-5m"),
    ],
)  # fmt: skip
def test_durations_are_written_in_the_largest_units(milliseconds: int, text: str) -> None:
    assert duration(milliseconds) == text


def test_strings_are_quoted_as_go_quotes_them() -> None:
    text = 'a"b\\c\n\t\a\x00\x7f\u00e9\u200b\U0001f600\U000e0001'
    assert quote(text) == r'"a\"b\\c\n\t\a\x00\x7fé\u200b😀\U000e0001"'
    assert scan_string(quote(text), 0) == (text, len(quote(text)))


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        (r"'it\'s \"x\" \\'", None),
        (r"'it\'s'", "it's"),
        (r'"\141\x62\u0063\U00000064"', "abcd"),
        ("`a\\n\"'`", "a\\n\"'"),
    ],
)
def test_string_literals(literal: str, value: str | None) -> None:
    if value is None:  # a quote of the other kind is not escaped
        with pytest.raises(StringError):
            scan_string(literal, 0)
    else:
        assert scan_string(literal + " tail", 0) == (value, len(literal))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.5"), (1e5, "100000"), (1e6, "1e+06"), (123456789.0, "1.23456789e+08"), (1e-4, "0.0001"), (1e-5, "1e-05")],
)
def test_numbers_in_messages_are_go_s(value: float, text: str) -> None:
    assert general(value) == text
