"""The real promtool, asked what it thinks of rule files, unit tests and templates."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import yaml

MISSING = "the program promtool is not installed"
_GOT = re.compile(r"alertname: T(\d+), time.*?got:\[\s*0:\s*Labels:\{.*?\}\n\s*Annotations:\{(.*?)\}\n\s*\]", re.DOTALL)
_TEXT = re.compile(r's="((?:[^"\\]|\\.)*)"')


def installed() -> bool:
    return shutil.which("promtool") is not None


def run(*arguments: str, cwd: Path) -> tuple[int, str]:
    """Exit code and everything printed."""
    done = subprocess.run(["promtool", *arguments], cwd=cwd, capture_output=True, timeout=60, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def write_template_test(directory: Path, templates: Sequence[str], series: str, values: str, expr: str) -> Path:
    """A unit test whose alerts T0, T1, … have the templates as annotation `s`, and that expects none of them."""
    rules = [{"alert": f"T{n}", "expr": expr, "annotations": {"s": text}} for n, text in enumerate(templates)]
    (directory / "r.yml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
    test = {
        "interval": "1m",
        "input_series": [{"series": series, "values": values}],
        "alert_rule_test": [{"eval_time": "0m", "alertname": f"T{n}"} for n in range(len(templates))],
        "external_labels": {"env": "prod"},
        "external_url": "http://host:80/sub",
    }
    path = directory / "t.yml"
    path.write_text(yaml.safe_dump({"rule_files": ["r.yml"], "tests": [test]}))
    return path


def expansions(output: str) -> dict[int, str]:
    """What the templates gave, by number, from the output of the failed test (Go's quoting undone)."""
    found = {}
    for number, given in _GOT.findall(output):
        text = _TEXT.search(given)
        found[int(number)] = unquoted(text[1]) if text else ""
    return found


def unquoted(text: str) -> str:
    return str(
        json.loads('"' + re.sub(r"\\x([0-9a-f]{2})", r"\\u00\1", text).replace("\\a", "\\u0007") + '"', strict=False)
    )
