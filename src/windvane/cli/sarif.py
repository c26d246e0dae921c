"""Findings as SARIF 2.1.0 (OASIS), which code hosts and editors show beside the lines they are about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from windvane import __version__
from windvane.mesh.files import STDIN
from windvane.mesh.findings import CODES, Finding

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def as_sarif(findings: Sequence[Finding]) -> dict[str, Any]:
    """A log of one run; its rules are the codes that occur."""
    codes = sorted({item.code for item in findings})
    driver = {"name": "Windvane", "version": __version__, "rules": [_rule(code) for code in codes]}
    results = [_result(item, codes.index(item.code)) for item in findings]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _rule(code: str) -> dict[str, Any]:
    entry = CODES[code]
    rule: dict[str, Any] = {
        "id": code,
        "shortDescription": {"text": entry.meaning},
        "defaultConfiguration": {"level": _LEVELS[entry.level]},
    }
    return {**rule, "properties": {"kiali": list(entry.kiali)}} if entry.kiali else rule


def _result(item: Finding, rule: int) -> dict[str, Any]:
    subject = " ".join(part for part in (item.resource, item.path) if part)
    return {
        "ruleId": item.code,
        "ruleIndex": rule,
        "level": _LEVELS[item.level],
        "message": {"text": f"{subject}: {item.message}" if subject else item.message},
        "locations": [_location(item)],
    }


def _location(item: Finding) -> dict[str, Any]:
    location: dict[str, Any] = {}
    if item.file and item.file != STDIN:
        path = Path(item.file)
        location["physicalLocation"] = {
            "artifactLocation": {"uri": path.as_uri() if path.is_absolute() else _uri(path)}
        }
        if item.line:
            location["physicalLocation"]["region"] = _region(item)
    if item.resource:
        location["logicalLocations"] = [{"fullyQualifiedName": item.resource, "kind": "object"}]
    return location


def _uri(path: Path) -> str:
    """A relative path as a URI reference, its characters escaped."""
    return Path("/", path).as_uri().removeprefix("file:///")


def _region(item: Finding) -> dict[str, int]:
    if not item.column:
        return {"startLine": item.line}
    return {"startLine": item.line, "startColumn": item.column, "endColumn": max(item.end_column, item.column + 1)}
