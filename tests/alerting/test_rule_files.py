# ruff: noqa: E501 - a case is one line
"""Rule files: what is read, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path

import promtool
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.alerting.durations import duration_text, parse_duration
from windvane.alerting.files import GroupSpec, RuleSpec, duplicates, expand_globs, load, odd_names, read
from windvane.kit.errors import BadInputError
from windvane.kit.yaml_nodes import FileError

GOOD = """
groups:
  - name: g
    interval: 1m30s
    query_offset: 10s
    limit: 5
    labels: {team: mesh, severity: low}
    rules:
      - record: a:b
        expr: sum by (x)   (up)
        labels: {severity: high}
      - alert: A
        expr: up == 0
        for: 5m
        keep_firing_for: 1h
        annotations: {summary: "{{ $value }}"}
"""


def test_a_file_is_read_as_it_is_written() -> None:
    groups, problems = read(GOOD, "r.yml")
    assert not problems
    record = RuleSpec("a:b", "sum by (x)   (up)", labels={"team": "mesh", "severity": "high"})
    alert = RuleSpec("A", "up == 0", True, 300, 3600, {"team": "mesh", "severity": "low"}, {"summary": "{{ $value }}"})
    assert groups == [GroupSpec("g", "r.yml", (record, alert), 90, 10, 5)]
    assert record.query == "sum by (x) (up)"


def rule(text: str) -> str:
    return f"groups:\n- name: g\n  rules:\n  - {text}\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("groups: [}", "r.yml:1:10: not YAML"),
        ("- a", "r.yml:1:1: must be a mapping"),
        ("group: []", "r.yml:1:1: group: unknown field"),
        ("groups: {}", "r.yml:1:9: groups: must be a list"),
        ("groups:\n- rules: []", "r.yml:2:3: groups[0]: Groupname must not be empty"),
        ("groups:\n- {name: g, rules: []}\n- {name: g, rules: []}", 'groups[1]: groupname: "g" is repeated in the same file'),
        ("groups:\n- {name: g, interval: 1x, rules: []}", 'groups[0].interval: not a valid duration string: "1x"'),
        ("groups:\n- {name: g, limit: x, rules: []}", "groups[0].limit: must be a whole number, not 'x'"),
        ("groups:\n- {name: g, name: h, rules: []}", "groups[0].name: given twice"),
        ("groups:\n- {name: g, labels: {__name__: x}, rules: []}", "invalid label name: __name__"),
        (rule("{record: a, alert: b, expr: up}"), "r.yml:4:5: groups[0].rules[0]: only one of 'record' and 'alert' must be set"),
        (rule("{expr: up}"), "one of 'record' or 'alert' must be set"),
        (rule("{record: a}"), "field 'expr' must be set in rule"),
        (rule("{record: a, expr: 'sum('}"), "groups[0].rules[0].expr: could not parse expression: 1:5: parse error"),
        (rule("{record: a, expr: up, for: 1m}"), "invalid field 'for' in recording rule"),
        (rule("{record: a, expr: up, keep_firing_for: 1m}"), "invalid field 'keep_firing_for' in recording rule"),
        (rule("{record: a, expr: up, annotations: {a: b}}"), "invalid field 'annotations' in recording rule"),
        (rule("{record: 'a{b=\"c\"}', expr: up}"), "braces present in the recording rule name"),
        (rule("{alert: A, expr: up, labels: {l: '{{ x }}'}}"), 'label "l": template: __alert_A:1: function "x" not defined'),
        (rule("{alert: A, expr: up, annotations: {a: '{{ $x }}'}}"), 'annotation "a": template: __alert_A:1: undefined variable "$x"'),
        (rule("{alert: A, expr: up, labels: [a]}"), "groups[0].rules[0].labels: must be a mapping"),
        (rule("{alert: A, expr: up, labels: {a: [b]}}"), "groups[0].rules[0].labels.a: must be text"),
        (rule("{alert: A, expr: up, fro: 1m}"), "groups[0].rules[0].fro: unknown field"),
        ("a: " + "[" * 1000, "nests deeper than 64 levels"),
        ("a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
         "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]",
         "more than 500000 values"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(text: str, problem: str) -> None:
    _, problems = read(text, "r.yml")
    assert any(problem in str(one) for one in problems), [str(one) for one in problems]


def test_every_problem_of_a_file_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "r.yml"
    path.write_text(rule("{record: a, expr: 'sum('}") + "  - {alert: B, expr: up, x: 1}\n")
    with pytest.raises(FileError) as refused:
        load(path)
    assert [one.line for one in refused.value.problems] == [4, 5]
    with pytest.raises(FileError, match="No such file"):
        load(tmp_path / "none.yml")
    path.write_bytes(b"\xff")
    with pytest.raises(FileError, match="not UTF-8"):
        load(path)


def test_anchors_merges_and_empty_files_are_read() -> None:
    text = "x: &x {severity: page}\n"
    _, problems = read(text + "groups: []", "r.yml")
    assert [one.message for one in problems] == ["unknown field"]
    merged = "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, labels: &l {a: b}}\n  - {alert: B, expr: up, labels: {<<: *l, c: d}}"
    groups, problems = read(merged, "r.yml")
    assert not problems
    assert groups[0].rules[1].labels == {"a": "b", "c": "d"}
    assert read("", "r.yml") == ([], [])


def test_rules_that_hide_each_other_are_found() -> None:
    text = (
        rule("{record: a, expr: up}")
        + "  - {record: a, expr: down}\n  - {record: a, expr: x, labels: {l: m}}\n  - {record: 'a.b', expr: x}\n"
    )
    groups, _ = read(text, "r.yml")
    assert [(one.metric, one.labels) for one in duplicates(groups)] == [("a", {})]
    assert odd_names(groups) == ["a.b"]


def test_globs_match_files_once(tmp_path: Path) -> None:
    for name in ("a.yml", "b.yml", "c.yaml"):
        (tmp_path / name).write_text("")
    (tmp_path / "d.yml").mkdir()
    found = expand_globs(["*.yml", "a.*", "nothing/*.yml"], tmp_path)
    assert [path.name for path in found] == ["a.yml", "b.yml"]
    assert expand_globs([str(tmp_path / "c.*")]) == [tmp_path / "c.yaml"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("5m", 300), ("1h30m", 5400), ("1d1ms", 86400.001), ("1y", 31_536_000)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "1m1h", "1.5h", "-1m", "1 m", "99999999999999y"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(BadInputError):
        parse_duration(text)


@given(st.integers(0, 9 * 10**12))
def test_a_printed_duration_reads_back(milliseconds: int) -> None:
    assert parse_duration(duration_text(milliseconds / 1000)) == milliseconds / 1000


TEXTS = st.text("groups: -[]{}&*!|>\n\"'#ab,<\t", max_size=60)


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    read(text, "r.yml")
    read(rule(text), "r.yml")


CHECKED = [
    GOOD.replace("    query_offset: 10s\n", "")
    .replace("    labels: {team: mesh, severity: low}\n", "")
    .replace("        keep_firing_for: 1h\n", ""),
    "groups: []",
    "",
    "groups:\n- {name: g, rules: []}\n- {name: g, rules: []}",
    rule("{record: a, alert: b, expr: up}"),
    rule("{record: a, expr: 'sum('}"),
    rule("{record: a, expr: up, for: 1m}"),
    rule("{alert: A, expr: up, unknown: 1}"),
    rule("{alert: A, expr: up, labels: {__name__: x}}"),
    rule("{alert: A, expr: up, labels: {a: '{{ nope }}'}}"),
    rule("{alert: A, expr: up, for: 1.5h}"),
    rule("{alert: A, expr: up, for: 0}"),
]


@pytest.mark.skipif(not promtool.installed(), reason=promtool.MISSING)
def test_promtool_judges_alike(tmp_path: Path) -> None:
    for text in CHECKED:
        (tmp_path / "r.yml").write_text(text)
        code, output = promtool.run("check", "rules", "r.yml", cwd=tmp_path)
        _, problems = read(text, "r.yml")
        assert bool(problems) == bool(code), (text, output, problems)
