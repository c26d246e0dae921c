"""What `windvane test` tells: tests, and what of the configuration they touched; as text, JSON and JUnit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click

from windvane.cli.output import print_json
from windvane.local.trial.judge import Result, RouteCoverage
from windvane.local.trial.rules import RuleCoverage


@dataclass(frozen=True, slots=True)
class Covered:
    """The routes and the rules of authorization, each with how many requests touched it."""

    routes: Sequence[RouteCoverage]
    rules: Sequence[RuleCoverage]

    def of(self, kind: str) -> list[RouteCoverage | RuleCoverage]:
        """`routes`, `rules` or `all` of them."""
        return [*(self.routes if kind != "rules" else ()), *(self.rules if kind != "routes" else ())]

    def share(self, kind: str) -> float:
        """The part that requests touched; 1 where there is nothing to touch."""
        counted = self.of(kind)
        return sum(each.requests > 0 for each in counted) / len(counted) if counted else 1.0

    def told(self, kind: str) -> str:
        """`3 of 4 routes`."""
        counted = self.of(kind)
        what = "routes" if kind == "routes" else "rules of authorization"
        return f"{sum(each.requests > 0 for each in counted)} of {len(counted)} {what}"


def print_results(results: Sequence[Result], covered: Covered) -> None:
    """For people."""
    for each in results:
        mark = click.style("PASS", fg="green") if each.passed else click.style("FAIL", fg="red")
        click.echo(f"{mark}  {each.placed.title}  ({each.placed.file}:{each.placed.line}, {each.seconds:.2f} s)")
        for failure in (*each.failures, *([each.error] if each.error else [])):
            click.echo(f"      {failure}")
    click.echo("")
    for route in covered.routes:
        if not route.requests:
            click.echo(f"not taken: route {route.route} of {route.resource} ({route.file}:{route.line})")
    for rule in covered.rules:
        if not rule.requests:
            click.echo(f"never matched: rule {rule.rule} of {rule.resource}, {rule.action} ({rule.file}:{rule.line})")
    failed = sum(not each.passed for each in results)
    kinds = [kind for kind in ("routes", "rules") if getattr(covered, kind)]
    touched = f"; touched {' and '.join(map(covered.told, kinds))}" if kinds else ""
    click.echo(f"{len(results) - failed} passed, {failed} failed{touched}")


def print_results_json(results: Sequence[Result], covered: Covered) -> None:
    """For programs."""
    shares = {kind: covered.share(kind) for kind in ("routes", "rules", "all")}
    tests = [_as_json(each) for each in results]
    print_json({"tests": tests, "routes": covered.routes, "rules": covered.rules, "coverage": shares})


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "name": result.placed.title, "file": result.placed.file, "line": result.placed.line,
        "passed": result.passed, "failures": result.failures, "error": result.error, "seconds": result.seconds,
    }  # fmt: skip


def write_junit(file: Path, results: Sequence[Result], covered: Covered) -> None:
    """JUnit's XML; coverage is told in the suite's properties."""
    suite = ElementTree.Element(
        "testsuite", name="windvane", tests=str(len(results)), failures=str(sum(bool(one.failures) for one in results)),
        errors=str(sum(bool(one.error) for one in results)), time=f"{sum(one.seconds for one in results):.3f}",
    )  # fmt: skip
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in _properties(covered):
        ElementTree.SubElement(properties, "property", name=name, value=value)
    for each in results:
        case = ElementTree.SubElement(
            suite, "testcase", name=each.placed.title, classname=each.placed.file, file=each.placed.file,
            line=str(each.placed.line), time=f"{each.seconds:.3f}",
        )  # fmt: skip
        for kind, texts in (("failure", each.failures), ("error", (each.error,) if each.error else ())):
            if texts:
                ElementTree.SubElement(case, kind, message=texts[0]).text = "\n".join(texts)
    ElementTree.ElementTree(suite).write(file, encoding="utf-8", xml_declaration=True)


def _properties(covered: Covered) -> list[tuple[str, str]]:
    """Shares in percent, then how often every route and rule was touched."""
    made = [(f"coverage.{kind}", f"{100 * covered.share(kind):.1f}") for kind in ("routes", "rules", "all")]
    made += [(f"route {each.route} of {each.resource}", str(each.requests)) for each in covered.routes]
    return [*made, *((f"rule {each.rule} of {each.resource}", str(each.requests)) for each in covered.rules)]
