"""A runner of PromQL test scripts: load samples, evaluate, compare.

The language follows the style of Prometheus's own:

    clear
    load 1m
      metric{label="value"} 1 2+3x4 _ stale NaN 7x2 _x3
    eval instant at 5m sum(metric)
      {} 12
    eval range from 0 to 5m step 1m metric
      metric{label="value"} 1 2 5 8 _ _
    eval instant at 5m metric * on (nothing) metric
      expect fail msg: found duplicate series
    eval instant at 5m topk(2, metric)
      expect ordered

`a+bxn` is a, then n more, each b greater; `axn` is a and n more of it; `_` is no sample; `stale` ends
the series; `{{…}}` is a native histogram (see `native_literals`). A bare number as expectation means a
scalar. `expect warn`, `expect info` want a note, `msg: …` with this text in it, `regex: …` with a match;
without them there must be none, which `expect no_warn`, `expect no_info` say aloud. `expect string "…"`
wants a string, `expect range vector from A to B step S` the samples of a range vector by itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import native_literals
import numpy as np
from promql_samples import TestSeries, store

from windvane.kit.errors import WindvaneError
from windvane.promql.engine import QueryEngine, QueryResult
from windvane.promql.lexer import Kind, tokenize
from windvane.promql.native.histogram import Histogram
from windvane.promql.parse import parse
from windvane.promql.syntax import Selector, String
from windvane.promql.value import STALE, MatrixResult, ScalarResult, StringResult, VectorResult
from windvane.store.api import Engine

Value = float | Histogram
Points = list[tuple[int, Value]]
_EVAL = re.compile(r"eval (?:instant at (\S+)|range from (\S+) to (\S+) step (\S+)) (.+)")
_WORD = re.compile(r"\{\{.*?\}\}(?:[+-]\{\{.*?\}\})?(?:x\d+)?|\S+")
_ITEM = re.compile(
    r"(_|stale|[+-]?(?:inf|nan|[0-9.]+(?:e[+-]?\d+)?))(?:([+-](?:[0-9.]+(?:e[+-]?\d+)?))?x(\d+))?\Z", re.I
)


@dataclass
class Eval:
    """One evaluation and what is expected of it."""

    line: int
    query: str
    start: int
    end: int
    step: int
    instant: bool
    series: list[tuple[tuple[tuple[str, str], ...], list[Value | None]]] = field(default_factory=list)
    scalar: float | None = None
    string: str | None = None
    fail: re.Pattern[str] | None = None
    ordered: bool = False
    warn: re.Pattern[str] | None = None
    info: re.Pattern[str] | None = None
    points: tuple[int, int] | None = None
    """Start and step of the expected samples, where they are not at the evaluation's own steps."""


def run(path: Path, engine: Engine) -> int:
    """Run one script; the number of evaluations. Raises AssertionError with every line that failed."""
    queries, count, failures = QueryEngine(engine), 0, []
    for command in commands(path.read_text()):
        if isinstance(command, Eval):
            problem = _check(queries, command)
            failures += [f"{path.name}:{command.line}: {command.query}\n    {problem}"] if problem else []
            count += 1
        elif command is None:
            for table in ("samples", "native_histograms", "series"):
                engine.command(f"TRUNCATE TABLE {table}")
            queries = QueryEngine(engine)
        else:
            store(engine, command)
    assert not failures, "\n".join(failures)
    return count


def commands(text: str) -> Iterator[Eval | list[TestSeries] | None]:
    """The commands of a script: an evaluation, series to load, or None for `clear`."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    lines = [(number, line) for number, line in lines if not line.lstrip().startswith("#")]
    place = 0
    while place < len(lines):
        number, line = lines[place]
        place += 1
        body = []
        while place < len(lines) and lines[place][1][0] in " \t":
            body.append(lines[place])
            place += 1
        if line.startswith("load "):
            yield [_loaded(one.strip(), milliseconds(line.split()[1])) for _, one in body]
        elif line.startswith("eval "):
            yield _eval(number, line, [one.strip() for _, one in body])
        elif line.strip() == "clear":
            yield None
        else:
            raise ValueError(f"line {number}: {line}")


def milliseconds(text: str) -> int:
    """A duration or a number of seconds."""
    token = tokenize(text.lstrip("-"))[0]
    assert token.kind in (Kind.NUMBER, Kind.DURATION), text
    return round(float(token.value) * 1000) * (-1 if text.startswith("-") else 1)


def _split(line: str) -> tuple[tuple[tuple[str, str], ...], list[str]]:
    """A line's label set and the items after it."""
    match = re.match(r'(\S*?\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\}|[a-zA-Z_:][\w:]*)\s*(.*)', line)
    assert match is not None, line
    text = match[1]
    items = _WORD.findall(match[2])
    if text == "{}":
        return (), items
    selector = parse(text)
    assert isinstance(selector, Selector)
    return tuple(sorted((m.name, m.value) for m in selector.matchers)), items


def values(items: list[str]) -> list[Value | None]:
    """The values that items stand for, None for no sample."""
    out: list[Value | None] = []
    for item in items:
        if item.startswith("{{"):
            out += native_literals.values(item)
            continue
        match = _ITEM.match(item)
        assert match is not None, item
        first, increase, times = match.groups()
        if first == "_":
            out += [None] * (int(times) if times else 1)
            continue
        start = STALE if first == "stale" else float(first)
        out += [start + n * float(increase or 0) if n else start for n in range(int(times or 0) + 1)]
    return out


def _loaded(line: str, step: int) -> TestSeries:
    labels, items = _split(line)
    points = [(n * step, value) for n, value in enumerate(values(items)) if value is not None]
    floats = [(time, value) for time, value in points if isinstance(value, float)]
    times = np.array([time for time, _ in floats], np.int64)
    numbers = np.array([value for _, value in floats], np.float64)
    histograms = {time: value for time, value in points if isinstance(value, Histogram)}
    return TestSeries(dict(labels), times, numbers, histograms)


def _eval(number: int, line: str, body: list[str]) -> Eval:
    match = _EVAL.fullmatch(line.strip())
    assert match is not None, f"line {number}: {line}"
    at, start, end, step, query = match.groups()
    if at is not None:
        moment = milliseconds(at)
        wanted = Eval(number, query, moment, moment, 1, instant=True)
    else:
        wanted = Eval(number, query, milliseconds(start), milliseconds(end), milliseconds(step), instant=False)
    for one in body:
        _expect(wanted, one)
    return wanted


def _expect(wanted: Eval, line: str) -> None:
    words = line.split(maxsplit=2)
    if words[0] != "expect":
        if re.fullmatch(r"[+-]?(?:inf|nan|[0-9.]+(?:e[+-]?\d+)?)", line, re.I):
            wanted.scalar = float(line)
        else:
            labels, items = _split(line)
            wanted.series.append((labels, values(items)))
    elif words[1] in ("fail", "warn", "info"):
        setattr(wanted, words[1], _text(words[2] if len(words) > 2 else ""))
    elif words[1] == "string":
        literal = parse(words[2])
        assert isinstance(literal, String)
        wanted.string = literal.value
    elif words[1] == "range":
        start, _, step = re.findall(r"(?:from|to|step) (\S+)", words[2])
        wanted.points = milliseconds(start), milliseconds(step)
    else:
        assert words[1] in ("ordered", "no_warn", "no_info"), line
        wanted.ordered |= words[1] == "ordered"


def _text(wanted: str) -> re.Pattern[str]:
    """What a message must be like: `msg: …` is a part of it, `regex: …` matches in it."""
    if wanted.startswith("regex:"):
        return re.compile(wanted.removeprefix("regex:").strip())
    return re.compile(re.escape(wanted.removeprefix("msg:").strip()))


def _check(queries: QueryEngine, wanted: Eval) -> str:
    """What is wrong with the result; '' when nothing is."""
    try:
        result = _evaluate(queries, wanted)
    except WindvaneError as error:
        expected = wanted.fail is not None and wanted.fail.search(error.message)
        return "" if expected else f"failed: {error.message}"
    if wanted.fail is not None:
        return f"did not fail: {result.value}"
    if not _noted(wanted.warn, result.warnings) or not _noted(wanted.info, result.infos):
        return f"notes: {result.warnings} {result.infos}"
    return _compare(wanted, result)


def _noted(wanted: re.Pattern[str] | None, notes: tuple[str, ...]) -> bool:
    return not notes if wanted is None else any(map(wanted.search, notes))


def _evaluate(queries: QueryEngine, wanted: Eval) -> QueryResult:
    if wanted.instant:
        return queries.instant(wanted.query, wanted.start)
    return queries.range(wanted.query, wanted.start, wanted.end, wanted.step)


def _compare(wanted: Eval, result: QueryResult) -> str:
    value = result.value
    if isinstance(value, StringResult):
        return "" if value.value == wanted.string else f"string {value.value!r}"
    if isinstance(value, ScalarResult):
        expected = math.nan if wanted.scalar is None else wanted.scalar
        return "" if wanted.scalar is not None and close(value.value, expected) else f"scalar {value.value!r}"
    expected_series = [(labels, _points(wanted, items)) for labels, items in wanted.series]
    got = list(_series(value))
    if not wanted.ordered:
        expected_series.sort(key=lambda one: one[0])
        got.sort(key=lambda one: one[0])
    if [labels for labels, _ in got] != [labels for labels, _ in expected_series]:
        return f"got {_shown(got)}"
    for (_, mine), (labels, theirs) in zip(got, expected_series, strict=True):
        same_times = (wanted.instant and wanted.points is None) or [time for time, _ in mine] == [
            time for time, _ in theirs
        ]
        if len(mine) != len(theirs) or not same_times or not all(map(close, _numbers(mine), _numbers(theirs))):
            return f"{dict(labels)}: got {mine}, expected {theirs}"
    return ""


def _points(wanted: Eval, items: list[Value | None]) -> Points:
    start, step = wanted.points or (wanted.start, wanted.step)
    return [(start + n * step, value) for n, value in enumerate(items) if value is not None]


def _series(value: VectorResult | MatrixResult) -> Iterator[tuple[tuple[tuple[str, str], ...], Points]]:
    for row, labels in enumerate(value.metrics):
        key = tuple(sorted(labels.items()))
        if isinstance(value, VectorResult):
            histogram = None if value.native is None else value.native[row]
            yield key, [(value.time, float(value.values[row]) if histogram is None else histogram)]
        else:
            times, numbers = value.points(row)
            points: Points = list(zip(times.tolist(), numbers.tolist(), strict=True))
            if value.native is not None:
                times_and = value.native.times_of(row).tolist(), value.native.histograms_of(row).tolist()
                points += zip(*times_and, strict=True)
            yield key, sorted(points, key=lambda point: point[0])


def _numbers(points: Points) -> list[Value]:
    return [value for _, value in points]


def _shown(series: list[tuple[tuple[tuple[str, str], ...], Points]]) -> str:
    return "; ".join(f"{dict(labels)} {_numbers(points)}" for labels, points in series) or "nothing"


def close(left: Value, right: Value) -> bool:
    """Equal but for rounding; NaN equals NaN."""
    if isinstance(left, Histogram) or isinstance(right, Histogram):
        both = isinstance(left, Histogram) and isinstance(right, Histogram)
        return both and native_literals.close(left, right)  # type: ignore[arg-type]
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return left == right or abs(left - right) <= 1e-12 * max(abs(left), abs(right))
