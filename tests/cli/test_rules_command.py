"""`windvane rules`: what it prints and how it exits."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from windvane.alerting.files import load
from windvane.cli.rules import command

GOOD = "groups:\n- name: g\n  rules:\n  - {record: r, expr: up}\n"


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(one) for one in arguments])


def test_check_tells_of_good_and_bad_files(tmp_path: Path) -> None:
    good, bad, twice = tmp_path / "good.yml", tmp_path / "bad.yml", tmp_path / "twice.yml"
    good.write_text(GOOD)
    bad.write_text(GOOD.replace("up}", "'sum('}"))
    twice.write_text(GOOD + "  - {record: r, expr: down}\n")
    result = invoke("check", good)
    assert (result.exit_code, result.output) == (0, f"Checking {good}\n  SUCCESS: 1 rules found\n")
    result = invoke("check", good, bad)
    assert result.exit_code == 1
    assert f"{bad}:4:17: groups[0].rules[0].expr: could not parse expression: 1:5: parse error" in result.output
    result = invoke("check", twice, "--output", "json")
    assert result.exit_code == 0
    assert json.loads(result.output)[0]["warnings"] == ["duplicate rule: r"]
    assert invoke("check", twice, "--lint-fatal").exit_code == 1
    assert invoke("check", tmp_path / "none.yml").exit_code == 2


def test_slo_prints_a_rule_file(tmp_path: Path) -> None:
    result = invoke("slo", "--service", "reviews.default", "--objective", "99.9", "--latency", "300ms")
    assert result.exit_code == 0
    path = tmp_path / "slo.yml"
    path.write_text(result.output)
    alerts = [rule.labels["window"] for group in load(path) for rule in group.rules if rule.alerting]
    assert alerts == ["1h", "6h", "3d"] * 2


def test_export_writes_the_shipped_rules_once(tmp_path: Path) -> None:
    result = invoke("export", tmp_path / "rules")
    assert result.exit_code == 0
    assert (tmp_path / "rules" / "istio.yaml").exists()
    again = invoke("export", tmp_path / "rules")
    assert again.exit_code == 1
    assert invoke("export", tmp_path / "rules", "--force").exit_code == 0
