"""`windvane rules`: check, test, generate and export recording and alerting rules."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from windvane.alerting.files import GroupSpec, duplicates, load, odd_names
from windvane.alerting.shipped import export_to
from windvane.alerting.slo import Slo, render
from windvane.alerting.unit.outcome import FileOutcome
from windvane.alerting.unit.report import as_json, as_text, junit
from windvane.alerting.unit.session import run_files, temporary_engine
from windvane.cli.output import print_json
from windvane.kit.values import parse_duration
from windvane.kit.yaml_nodes import FileError

_FILES = click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILES"
)
_OUTPUT = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print."
)


@click.group("rules")
def command() -> None:
    """Recording and alerting rules in Prometheus's file formats."""


@command.command()
@_FILES
@click.option("--lint-fatal", is_flag=True, help="Exit with 1 for warnings too.")
@_OUTPUT
def check(files: tuple[Path, ...], lint_fatal: bool, output: str) -> None:
    """Check rule FILES; exit code 1 when one of them cannot be used."""
    reports = [_check(path) for path in files]
    if output == "json":
        print_json(reports)
    else:
        for report in reports:
            _print_check(report)
    bad = any(report["errors"] for report in reports)
    warned = lint_fatal and any(report["warnings"] for report in reports)
    sys.exit(1 if bad or warned else 0)


def _check(path: Path) -> dict[str, object]:
    try:
        groups = load(path)
    except FileError as error:
        problems = [
            {"line": one.line, "column": one.column, "path": one.path, "message": one.message, "text": str(one)}
            for one in error.problems
        ]
        return {"file": str(path), "rules": 0, "errors": problems, "warnings": []}
    rules = sum(len(group.rules) for group in groups)
    return {"file": str(path), "rules": rules, "errors": [], "warnings": _warnings(groups)}


def _warnings(groups: list[GroupSpec]) -> list[str]:
    found = []
    for one in duplicates(groups):
        labels = ", ".join(f"{name}: {value}" for name, value in one.labels.items())
        found.append(f"duplicate rule: {one.metric}" + (f" ({labels})" if labels else ""))
    return [*found, *(f"name only valid as UTF-8, was an expression meant? {name}" for name in odd_names(groups))]


def _print_check(report: dict[str, object]) -> None:
    click.echo(f"Checking {report['file']}")
    errors, warnings = report["errors"], report["warnings"]
    assert isinstance(errors, list)
    assert isinstance(warnings, list)
    for warning in warnings:
        click.echo(f"  WARNING: {warning}")
    if errors:
        click.echo("  FAILED:")
        for one in errors:
            click.echo(f"    {one['text']}")
    else:
        click.echo(f"  SUCCESS: {report['rules']} rules found")


@command.command()
@_FILES
@click.option("--junit", "junit_file", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML here.")
@_OUTPUT
def test(files: tuple[Path, ...], junit_file: Path | None, output: str) -> None:
    """Run unit-test FILES as `promtool test rules` does; exit code 1 when a test fails."""
    outcomes: list[FileOutcome] = []
    with temporary_engine() as engine:
        for outcome in run_files(files, engine):
            outcomes.append(outcome)
            if output == "text":
                click.echo(as_text(outcome) + "\n")
    if output == "json":
        print_json([as_json(outcome) for outcome in outcomes])
    if junit_file is not None:
        junit_file.write_bytes(junit(outcomes))
    sys.exit(0 if all(outcome.passed for outcome in outcomes) else 1)


@command.command()
@click.option("--service", required=True, help="The service, as NAME.NAMESPACE or by its full host name.")
@click.option("--objective", required=True, type=float, help="Percent of requests that must be good, such as 99.9.")
@click.option("--latency", help="Also an objective for the time of requests, for example 300ms.")
@click.option("--latency-objective", type=float, help="Percent of requests within that time (default: OBJECTIVE).")
@click.option("--minimum", type=int, default=5, show_default=True,
              help="Failed requests in the short window below which nothing fires.")  # fmt: skip
@click.option("--reporter", type=click.Choice(["destination", "source", "waypoint"]), default="destination",
              show_default=True, help="Whose metrics count.")  # fmt: skip
def slo(
    *,
    service: str,
    objective: float,
    latency: str | None,
    latency_objective: float | None,
    minimum: int,
    reporter: str,
) -> None:
    """Print rules that alert when a service spends its error budget too fast."""
    seconds = None if latency is None else parse_duration(latency)
    spec = Slo(service, objective, seconds, latency_objective or objective, minimum, reporter)
    click.echo(render(spec), nl=False)


@command.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
def export(directory: Path, force: bool) -> None:
    """Write the rules that come with Windvane, and their unit tests, to DIRECTORY."""
    for path in export_to(directory, overwrite=force):
        click.echo(path)
