"""Unit tests of rules: the same files pass and fail as under promtool, and rules that ship are tested."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import promtool
import pytest
import yaml
from unit_cases import CASES, RULES

from windvane.alerting import shipped
from windvane.alerting.files import load
from windvane.alerting.slo import Slo, render
from windvane.alerting.unit import run as unit_run
from windvane.alerting.unit.files import load_tests
from windvane.alerting.unit.outcome import FileOutcome
from windvane.alerting.unit.report import as_json, as_text, junit
from windvane.alerting.unit.session import run_files, without_partitions
from windvane.kit.errors import BadInputError
from windvane.kit.yaml_nodes import FileError
from windvane.store.embedded import EmbeddedEngine


def outcome(path: Path, engine: EmbeddedEngine) -> FileOutcome:
    (found,) = run_files([path], engine)
    return found


@pytest.fixture
def flat(engine: EmbeddedEngine) -> EmbeddedEngine:
    """An engine as `windvane rules test` has it."""
    without_partitions(engine)
    return engine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules.yml").write_text(RULES)
    return tmp_path


def case_file(folder: Path, text: str) -> Path:
    path = folder / "test.yml"
    path.write_text("rule_files: [rules.yml]\nevaluation_interval: 1m\n" + text)
    return path


@pytest.mark.parametrize("sweeping", [True, False])
def test_files_pass_or_fail_as_they_should(
    folder: Path, flat: EmbeddedEngine, sweeping: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not sweeping:
        monkeypatch.setattr(unit_run, "can_sweep", lambda _: False)
    for name, (passes, text) in CASES.items():
        found = outcome(case_file(folder, text), flat)
        assert found.passed == passes, f"{name}: {as_text(found)}"


@pytest.mark.skipif(not promtool.installed(), reason=promtool.MISSING)
@pytest.mark.parametrize("name", CASES)
def test_promtool_agrees(folder: Path, name: str) -> None:
    passes, text = CASES[name]
    case_file(folder, text)
    code, output = promtool.run("test", "rules", "test.yml", cwd=folder)
    assert (code == 0) == passes, output


def test_rules_that_read_each_other_both_ways_are_evaluated_step_by_step(folder: Path, flat: EmbeddedEngine) -> None:
    (folder / "rules.yml").write_text(
        "groups:\n- name: g\n  rules:\n"
        "  - {record: total, expr: (total or vector(0)) + 1}\n"
        "  - {record: ahead, expr: m offset -1m or vector(-1)}\n"
    )
    text = """
tests:
  - interval: 1m
    input_series: [{series: m, values: '1 2 3 4 5 6 7 8'}]
    promql_expr_test:
      - {expr: total, eval_time: 4m, exp_samples: [{labels: total, value: 5}]}
      - {expr: ahead, eval_time: 4m, exp_samples: [{labels: 'ahead', value: 5}]}
      - {expr: m, eval_time: 4m, exp_samples: [{labels: 'm', value: 5}]}
"""
    found = outcome(case_file(folder, text), flat)
    got = [failure.got for group in found.groups for failure in group.failures]
    assert got == ["ahead{} 5E+00"] or found.passed, as_text(found)


def test_a_long_test_touches_many_partitions(folder: Path, flat: EmbeddedEngine) -> None:
    path = folder / "test.yml"
    path.write_text("""
rule_files: [rules.yml]
evaluation_interval: 1d
tests:
  - interval: 1d
    input_series: [{series: 'm{job="a"}', values: '0+1x150'}]
    promql_expr_test:
      - {expr: m, eval_time: 120d, exp_samples: [{labels: 'm{job="a"}', value: 120}]}
      - {expr: 'sum_over_time(job:m:sum[110d])', eval_time: 120d, exp_samples: [{labels: '{job="a"}', value: 7205}]}
""")
    found = outcome(path, flat)
    assert found.passed, as_text(found)


def test_a_failure_shows_what_was_expected_and_what_was_found(folder: Path, flat: EmbeddedEngine) -> None:
    found = outcome(case_file(folder, CASES["an alert that does not fire"][1]), flat)
    text = as_text(found)
    assert "FAILED" in text
    assert "- 0:" in text.replace("        ", "")
    assert 'alertname="Down"' in text
    document = as_json(found)
    assert document["passed"] is False
    assert document["tests"][0]["failures"][0]["got"] == "[]"  # type: ignore[index]
    suite = ElementTree.fromstring(junit([found, FileOutcome(Path("x"), error="bad\x00")]))
    assert [one.get("failures") for one in suite] == ["1", "0"]
    assert suite[1].get("errors") == "1"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tests:\n- {interval: 1m, input_series: [{series: 'up{', values: '1'}]}", "series: 1:4: parse error"),
        ("tests:\n- {interval: 1m, input_series: [{series: up, values: '1 x'}]}", "not a series value: 'x'"),
        ("tests:\n- {alert_rule_test: [{eval_time: 1m}]}", "misses required attribute alertname"),
        ("tests:\n- {promql_expr_test: [{eval_time: 1x, expr: up}]}", 'not a valid duration string: "1x"'),
        ("tests:\n- {nope: 1}", "tests[0].nope: unknown field"),
        ("group_eval_order: [a, a]", "group name repeated in evaluation order: a"),
        ("tests:\n- {promql_expr_test: [{eval_time: 100y, expr: up}]}", "needs more than 1000000 evaluations"),
    ],
)
def test_what_is_wrong_with_a_test_file(folder: Path, text: str, problem: str) -> None:
    with pytest.raises(FileError) as refused:
        load_tests(case_file(folder, text))
    assert problem in refused.value.message


def test_rule_files_that_cannot_be_used_fail_the_test_file(folder: Path, flat: EmbeddedEngine) -> None:
    path = case_file(folder, "tests: []")
    (folder / "rules.yml").write_text("groups: [x]")
    assert "must be a mapping" in outcome(path, flat).error
    (folder / "rules.yml").unlink()
    found = outcome(path, flat)
    assert found.passed
    assert found.warnings == ("no file match pattern rules.yml",)


# Rules that ship


def test_the_shipped_rules_pass_their_tests(flat: EmbeddedEngine, tmp_path: Path) -> None:
    paths = [path for path in shipped.export_to(tmp_path) if path.name.endswith("_test.yaml")]
    assert paths
    for found in run_files(paths, flat):
        assert found.passed, as_text(found)


@pytest.mark.skipif(not promtool.installed(), reason=promtool.MISSING)
def test_promtool_finds_no_fault_with_the_shipped_rules(tmp_path: Path) -> None:
    for path in shipped.export_to(tmp_path):
        kind = ("test", "rules") if path.name.endswith("_test.yaml") else ("check", "rules")
        code, output = promtool.run(*kind, path.name, cwd=tmp_path)
        assert code == 0, output


def test_every_shipped_alert_is_tested(tmp_path: Path) -> None:
    list(shipped.export_to(tmp_path))
    for path in tmp_path.glob("*.yaml"):
        if path.name.endswith("_test.yaml"):
            continue
        alerts = {rule.name for group in load(path) for rule in group.rules if rule.alerting}
        tests = load_tests(path.with_name(f"{path.stem}_test.yaml"))
        fired = {test.name for group in tests.tests for test in group.alerts if test.expected}
        assert alerts <= fired


# Objectives: with 99.9 % and a steady error ratio e, an alert fires after long x burn x 0.001 / e.

SERVICE = 'reporter="destination",destination_service_name="reviews",destination_service_namespace="default"'
VECTORS = [(0.0146, 60, 149, 297)]


def slo_test(ratio: float, minutes: tuple[int | None, ...], folder: Path) -> Path:
    """A test: three days without errors, then a steady ratio; each alert fires in time, not much earlier."""
    (folder / "slo.yml").write_text(render(Slo("reviews.default", 99.9)))
    quiet, rate = 3 * 1440, 60_000
    bad = round(rate * ratio)
    series = [
        {"series": f'istio_requests_total{{{SERVICE},response_code="200",response_flags="-"}}',
         "values": f"0+{rate}x{quiet} {rate * quiet + rate - bad}+{rate - bad}x800"},
        {"series": f'istio_requests_total{{{SERVICE},response_code="503",response_flags="-"}}',
         "values": f"0x{quiet} {bad}+{bad}x800"},
    ]  # fmt: skip
    cases = []
    for window, expected in zip(("1h", "6h", "3d"), minutes, strict=True):
        times = [quiet + (expected or 750) + 2, quiet + round((expected or 0) * 0.85 - 0.6)]
        for time, fires in zip(times, (expected is not None, False), strict=True):
            expr = f'count(ALERTS{{alertname="SloErrorBudgetBurn",alertstate="firing",window="{window}"}})'
            samples = [{"labels": "{}", "value": 1}] if fires else []
            cases.append({"expr": expr, "eval_time": f"{time}m", "exp_samples": samples})
    test = {"interval": "1m", "input_series": series, "promql_expr_test": cases}
    path = folder / "slo_test.yml"
    path.write_text(yaml.safe_dump({"rule_files": ["slo.yml"], "evaluation_interval": "1m", "tests": [test]}))
    return path


@pytest.mark.parametrize(("ratio", "page", "slow", "ticket"), VECTORS)
def test_burn_rates_fire_when_the_workbook_says(
    flat: EmbeddedEngine, tmp_path: Path, ratio: float, page: int | None, slow: int | None, ticket: int | None
) -> None:
    found = outcome(slo_test(ratio, (page, slow, ticket), tmp_path), flat)
    assert found.passed, as_text(found)


@pytest.mark.skipif(not promtool.installed(), reason=promtool.MISSING)
def test_promtool_reads_the_rules_of_an_objective(tmp_path: Path) -> None:
    (tmp_path / "slo.yml").write_text(render(Slo("reviews.default", 99.9, latency=0.3)))
    code, output = promtool.run("check", "rules", "slo.yml", cwd=tmp_path)
    assert code == 0, output
    (tmp_path / "slo.yml").write_text(render(Slo("api.example.com", 99, latency=0.25)))
    code, output = promtool.run("check", "rules", "slo.yml", cwd=tmp_path)
    assert code == 0, output


def test_latency_between_two_bounds_is_interpolated(flat: EmbeddedEngine, tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(render(Slo("reviews.default", 99, latency=0.3)))
    bucket = f"istio_request_duration_milliseconds_bucket{{{SERVICE}"
    text = f"""
tests:
  - interval: 1m
    input_series:
      - {{series: '{bucket},le="250"}}', values: '0+80x10'}}
      - {{series: '{bucket},le="500.0"}}', values: '0+100x10'}}
      - {{series: 'istio_request_duration_milliseconds_count{{{SERVICE}}}', values: '0+100x10'}}
    promql_expr_test:
      - expr: round(slo:bad_requests:ratio_rate5m{{sli="latency"}}, 0.001)
        eval_time: 8m
        exp_samples: [{{labels: '{{slo="reviews.default",sli="latency"}}', value: 0.16}}]
"""
    found = outcome(case_file(tmp_path, text), flat)
    assert found.passed, as_text(found)


@pytest.mark.parametrize(
    ("service", "matchers"),
    [
        ("reviews.default", 'destination_service_name="reviews",destination_service_namespace="default"'),
        (
            "reviews.default.svc.cluster.local",
            'destination_service_name="reviews",destination_service_namespace="default"',
        ),
        ("api.example.com", 'destination_service="api.example.com"'),
    ],
)
def test_a_service_is_found_by_its_name(service: str, matchers: str) -> None:
    assert matchers in Slo(service, 99).matchers()


@pytest.mark.parametrize(
    "fields", [{"objective": 100}, {"objective": 0}, {"service": "a b"}, {"service": ""}, {"latency": 7200}]
)
def test_objectives_that_make_no_sense(fields: dict[str, object]) -> None:
    with pytest.raises(BadInputError):
        Slo(**{"service": "a.b", "objective": 99.9, **fields})  # type: ignore[arg-type]
