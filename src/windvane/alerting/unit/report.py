"""Outcomes of test files as text, JSON and JUnit XML."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from windvane.alerting.unit.outcome import FileOutcome, GroupOutcome


def as_text(outcome: FileOutcome) -> str:
    """What promtool would print, with differences as a diff."""
    lines = [f"Unit Testing:  {outcome.path}"]
    lines += [f"  WARNING: {warning}" for warning in outcome.warnings]
    if outcome.passed:
        lines.append("  SUCCESS")
        return "\n".join(lines)
    lines.append("  FAILED:")
    lines += [f"    {line}" for line in outcome.error.splitlines()]
    for group in outcome.groups:
        for failure in group.failures:
            lines += [f"    name: {group.name},"] if group.name else []
            lines.append(failure.text())
    return "\n".join(lines)


def as_json(outcome: FileOutcome) -> dict[str, object]:
    """Everything, for programs."""
    return {
        "file": str(outcome.path),
        "passed": outcome.passed,
        "error": outcome.error,
        "warnings": list(outcome.warnings),
        "tests": [_group_json(group) for group in outcome.groups],
    }


def _group_json(group: GroupOutcome) -> dict[str, object]:
    failures = [
        {"subject": one.subject, "message": one.message, "expected": one.expected, "got": one.got, "line": one.line}
        for one in group.failures
    ]
    return {
        "name": group.name,
        "passed": group.passed,
        "checks": group.checks,
        "seconds": round(group.seconds, 3),
        "failures": failures,
    }


def junit(outcomes: Sequence[FileOutcome]) -> bytes:
    """JUnit XML: a suite a file, a case a test group."""
    root = Xml.Element("testsuites", name="windvane rules test")
    for outcome in outcomes:
        failed = sum(not group.passed for group in outcome.groups)
        suite = Xml.SubElement(
            root, "testsuite", name=str(outcome.path), tests=str(len(outcome.groups) or 1), failures=str(failed),
            errors=str(int(bool(outcome.error))), time=f"{sum(group.seconds for group in outcome.groups):.3f}",
        )  # fmt: skip
        if outcome.error:
            case = Xml.SubElement(suite, "testcase", name="load", classname=str(outcome.path))
            Xml.SubElement(case, "error", message=_clean(outcome.error.splitlines()[0])).text = _clean(outcome.error)
        for place, group in enumerate(outcome.groups, 1):
            case = Xml.SubElement(
                suite, "testcase", name=_clean(group.name or f"test {place}"), classname=str(outcome.path),
                time=f"{group.seconds:.3f}",
            )  # fmt: skip
            for failure in group.failures:
                message = _clean(f"{failure.subject}: {failure.message}")
                Xml.SubElement(case, "failure", message=message).text = _clean(failure.text())
    Xml.indent(root)
    text: bytes = Xml.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _clean(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return "".join(one if one >= " " or one in "\n\t" else "\ufffd" for one in text)
