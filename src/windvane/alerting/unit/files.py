"""promtool's unit-test files: which rules, which input series, and what is expected when.

Durations are seconds. Everything that is wrong with a file is reported with file, line, column and path.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from pathlib import Path

from windvane.alerting.document import open_document
from windvane.alerting.files import GroupSpec, expand_globs, load
from windvane.alerting.series_notation import Values, parse_metric, parse_values
from windvane.kit.strict_yaml import Mapping, read_text
from windvane.kit.yaml_nodes import FileError, Problem

MAX_STEPS = 1_000_000


@dataclass(frozen=True, slots=True)
class InputSeries:
    labels: dict[str, str]
    values: Values


@dataclass(frozen=True, slots=True)
class ExpectedAlert:
    """Labels with `alertname`, and annotations."""

    labels: dict[str, str]
    annotations: dict[str, str]


@dataclass(frozen=True, slots=True)
class AlertTest:
    """The firing alerts of one name at one time."""

    eval_time: float
    name: str
    expected: tuple[ExpectedAlert, ...]
    line: int = 0


@dataclass(frozen=True, slots=True)
class ExpectedSample:
    labels: str
    value: float
    histogram: str = ""


@dataclass(frozen=True, slots=True)
class ExpressionTest:
    """The value of an expression at one time."""

    eval_time: float
    expr: str
    expected: tuple[ExpectedSample, ...]
    line: int = 0


@dataclass(frozen=True, slots=True)
class TestGroup:
    """Input series, and tests on them; `start` in seconds since the Unix epoch."""

    __test__ = False

    name: str
    interval: float
    series: tuple[InputSeries, ...]
    alerts: tuple[AlertTest, ...]
    expressions: tuple[ExpressionTest, ...]
    external_labels: dict[str, str] = field(default_factory=dict)
    external_url: str = ""
    start: float = 0.0
    line: int = 0

    @property
    def last(self) -> float:
        """The latest time that is tested, after the start."""
        times = [*(test.eval_time for test in self.alerts), *(test.eval_time for test in self.expressions)]
        return max(times, default=0.0)


@dataclass(frozen=True, slots=True)
class TestFile:
    """One file, with the groups of its rule files in the order of their evaluation."""

    __test__ = False

    path: Path
    evaluation_interval: float
    groups: tuple[GroupSpec, ...]
    tests: tuple[TestGroup, ...]
    fuzzy: bool = False
    warnings: tuple[str, ...] = ()


def load_tests(path: Path) -> TestFile:
    """A test file and the rule files it names; `FileError` names everything that is wrong."""
    document = open_document(str(path))
    root = document.root(read_text(path))
    if root is None:
        raise FileError(document.problems)
    globs = root.texts("rule_files")
    interval = root.duration("evaluation_interval", 60.0) or 60.0
    order = root.texts("group_eval_order")
    if len(set(order)) < len(order):
        twice = next(name for name in order if order.count(name) > 1)
        root.document.problem(root.node, "group_eval_order", f"group name repeated in evaluation order: {twice}")
    fuzzy = root.boolean("fuzzy_compare", False)
    tests = tuple(_group(one, interval) for one in root.mappings("tests"))
    root.done()
    groups, problems = _rules(globs, path.parent)
    if document.problems or problems:
        raise FileError([*document.problems, *problems])
    ordered = sorted(groups, key=lambda group: order.index(group.name) if group.name in order else 0)
    missing = tuple(f"no file match pattern {glob}" for glob in globs if not expand_globs([glob], path.parent))
    return TestFile(path, interval, tuple(ordered), tests, fuzzy, missing)


def _rules(globs: list[str], base: Path) -> tuple[list[GroupSpec], list[Problem]]:
    groups: list[GroupSpec] = []
    problems: list[Problem] = []
    for path in expand_globs(globs, base):
        try:
            groups.extend(load(path))
        except FileError as error:
            problems.extend(error.problems)
    return groups, problems


def _line(mapping: Mapping) -> int:
    return mapping.node.start_mark.line + 1 if mapping.node is not None else 0


def _group(mapping: Mapping, default_interval: float) -> TestGroup:
    group = TestGroup(
        name=mapping.text("name"),
        interval=mapping.duration("interval", default_interval) or default_interval,
        series=tuple(_series(one) for one in mapping.mappings("input_series")),
        alerts=tuple(_alert_test(one) for one in mapping.mappings("alert_rule_test")),
        expressions=tuple(_expression_test(one) for one in mapping.mappings("promql_expr_test")),
        external_labels=mapping.text_map("external_labels"),
        external_url=mapping.text("external_url"),
        start=mapping.read("start_timestamp", _timestamp, 0.0),
        line=_line(mapping),
    )
    if group.last / default_interval > MAX_STEPS:
        mapping.problem("", f"needs more than {MAX_STEPS} evaluations")
    mapping.done()
    return group


def _timestamp(text: str) -> float:
    """Unix seconds or RFC 3339."""
    try:
        return float(text)
    except ValueError:
        moment = datetime.datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or datetime.UTC).timestamp()


def _series(mapping: Mapping) -> InputSeries:
    empty = parse_values("")
    series = InputSeries(mapping.read("series", parse_metric, {}), mapping.read("values", parse_values, empty))
    mapping.done()
    return series


def _alert_test(mapping: Mapping) -> AlertTest:
    line = _line(mapping)
    at, name = mapping.duration("eval_time", 0.0), mapping.text("alertname")
    if not name:
        mapping.problem("", "an item under alert_rule_test misses required attribute alertname")
    expected = []
    for one in mapping.mappings("exp_alerts"):
        labels = {key: value for key, value in one.text_map("exp_labels").items() if value}
        annotations = {key: value for key, value in one.text_map("exp_annotations").items() if value}
        expected.append(ExpectedAlert({**labels, "alertname": name}, annotations))
        one.done()
    mapping.done()
    return AlertTest(at, name, tuple(expected), line)


def _expression_test(mapping: Mapping) -> ExpressionTest:
    line = _line(mapping)
    expr, at = mapping.text("expr"), mapping.duration("eval_time", 0.0)
    expected = []
    for one in mapping.mappings("exp_samples"):
        sample = ExpectedSample(one.text("labels"), one.number("value", 0.0), one.text("histogram"))
        expected.append(sample)
        one.done()
    mapping.done()
    return ExpressionTest(at, expr, tuple(expected), line)
