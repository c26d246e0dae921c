"""Native histograms in rules: recorded, alerted on, tested."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from windvane.alerting.files import load
from windvane.alerting.group import Group
from windvane.alerting.metrics import RuleMetrics
from windvane.alerting.queries import vector_function
from windvane.alerting.rules import NS, Context
from windvane.alerting.series_notation import parse_values
from windvane.alerting.unit import run as unit_run
from windvane.alerting.unit.report import as_text
from windvane.alerting.unit.session import run_files
from windvane.kit.errors import BadInputError
from windvane.kit.metrics import Metrics
from windvane.promql.engine import QueryEngine
from windvane.promql.native import notation
from windvane.promql.native.histogram import Histogram
from windvane.store.embedded import EmbeddedEngine
from windvane.store.metric_facts import write_histograms
from windvane.store.series import SampleWriter

RULES = """
groups:
- name: latency
  rules:
  - {record: "job:h:increase", expr: "sum by (job) (increase(h[2m]))"}
  - {record: "job:h:median", expr: "histogram_quantile(0.5, job:h:increase)"}
  - alert: Slow
    expr: histogram_count(job:h:increase) > 10
  - alert: Seen
    expr: h
    annotations: {is: "{{ $value }}"}
"""
TESTS = """
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
- interval: 1m
  input_series:
  - series: 'h{job="a"}'
    values: '{{schema:0 sum:2 count:4 buckets:[1 2 1]}}+{{sum:6 count:12 buckets:[3 6 3]}}x5 stale'
  alert_rule_test:
  - {eval_time: 5m, alertname: Slow, exp_alerts: [{exp_labels: {job: a}}]}
  - {eval_time: 0m, alertname: Slow}
  - eval_time: 0m
    alertname: Seen
    exp_alerts: [{exp_labels: {job: a}, exp_annotations: {is: '{count:4, sum:2, (0.5,1]:1, (1,2]:2, (2,4]:1}'}}]
  promql_expr_test:
  - expr: h
    eval_time: 1m
    exp_samples: [{labels: 'h{job="a"}', histogram: '{{sum:8 count:16 buckets:[4 8 4]}}'}]
  - expr: job:h:increase
    eval_time: 4m
    exp_samples:
    - {labels: 'job:h:increase{job="a"}', histogram: '{{count:24 sum:12 counter_reset_hint:gauge buckets:[6 12 6]}}'}
  - {expr: 'histogram_count(job:h:increase)', eval_time: 4m, exp_samples: [{labels: '{job="a"}', value: 24}]}
  - {expr: h, eval_time: 6m}
"""


@pytest.mark.parametrize("sweeping", [True, False])
def test_rule_tests_with_histograms(
    tmp_path: Path, engine: EmbeddedEngine, sweeping: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not sweeping:
        monkeypatch.setattr(unit_run, "can_sweep", lambda _: False)
    (tmp_path / "rules.yml").write_text(RULES)
    path = tmp_path / "tests.yml"
    path.write_text(TESTS)
    (found,) = run_files([path], engine)
    assert found.passed, as_text(found)
    path.write_text(TESTS.replace("count:16", "count:17"))
    (found,) = run_files([path], engine)
    assert not found.passed
    assert "{{count:17 sum:8 buckets:[4 8 4]}}" in as_text(found)


def test_a_recorded_histogram_is_stored_until_it_ends(tmp_path: Path, engine: EmbeddedEngine) -> None:
    path = tmp_path / "rules.yml"
    path.write_text("groups: [{name: g, rules: [{record: r, expr: 2 * h}]}]")
    writer, queries = SampleWriter(engine), QueryEngine(engine)
    at = 1_700_000_000_000
    one = notation.parse("{{schema:1 sum:3 count:5 z_bucket:1 z_bucket_w:0.5 offset:3 buckets:[4]}}")
    ids = writer.ids([{"__name__": "h", "a": "b"}], np.array([at], np.int64))
    write_histograms(engine, ids, np.array([at], np.int64), [one])
    (spec,) = load(path)
    group = Group(spec, interval=60, query_offset=0, writer=writer, context=Context(vector_function(queries)),
                  metrics=RuleMetrics(Metrics()))  # fmt: skip
    group.evaluate((at + 1000) * 1_000_000)
    (found,) = vector_function(queries)("r", at + 2000)
    assert found.labels == {"__name__": "r", "a": "b"}
    assert found.histogram is not None
    wanted = "{{schema:1 count:10 sum:6 z_bucket:2 z_bucket_w:0.5 offset:3 buckets:[8]}}"
    assert notation.shown(found.histogram) == wanted
    group.evaluate((at + 600_000) * 1_000_000 // NS * NS)
    assert vector_function(queries)("r", at + 601_000) == []


@pytest.mark.parametrize(
    "text",
    [
        "{{schema:0 sum:5 count:4 buckets:[1 2 1]}}",
        "{{schema:-53 sum:1 count:3 custom_values:[0.5 1] buckets:[1 0 2]}}",
        "{{schema:1 sum:-0.3 count:32.1 z_bucket:7.1 z_bucket_w:0.05 offset:-3 buckets:[5.1 7] n_buckets:[4]}}",
        "{{counter_reset_hint:gauge}}",
        "{{}}",
    ],
)
def test_what_is_shown_is_read_as_the_same(text: str) -> None:
    one = notation.parse(text)
    again = notation.parse(notation.shown(one))
    assert notation.shown(again) == notation.shown(one)
    assert again.same_as(one.compacted()) or not one.compacted().same_as(one)


def test_runs_of_histograms() -> None:
    values = parse_values("1 {{count:1 buckets:[1]}}+{{count:2 buckets:[2]}}x2 _ {{sum:3}}x1 {{sum:1}} 2x1")
    assert values.present.tolist() == [True] * 4 + [False] + [True] * 5
    assert [one.count for one in histograms(values.histograms.values())] == [1, 3, 5, 0, 0, 0]
    assert list(values.histograms) == [1, 2, 3, 5, 6, 7]


def histograms(some: object) -> list[Histogram]:
    return list(some)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{schema:9}}", "schema is -4 to 8"),
        ("{{count:x}}", "count is not a number"),
        ("{{buckets:3}}", "buckets is a list"),
        ("{{size:3}}", "no field size"),
        ("{{sum:1 sum:2}}", "sum is given twice"),
        ("{{sum:1 oops}}", "not a field"),
        ("{{counter_reset_hint:maybe}}", "counter_reset_hint is"),
        ("{{sum:1}", "not a series value"),
        ("{{sum:1}}x99999999999", "more than"),
        ("{{schema:1}}+{{schema:0}}x2", "cannot merge from schema 0 to 1"),
        ("{{schema:-53}}+{{schema:0}}x2", "do not add up"),
        ("{{sum:1}}+{{sum:1}}", "not a series value"),
    ],
)
def test_what_is_no_histogram(text: str, reason: str) -> None:
    with pytest.raises(BadInputError, match=reason):
        parse_values(text)
