"""`windvane slo`: objectives in YAML: budgets, burn rates, exhaustion; and the rules that alert about them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import orjson

from windvane.alerting.slo import render
from windvane.alerting.slo_file import read
from windvane.cli.client import answer, server_option
from windvane.cli.output import output_option, print_json, print_table
from windvane.kit.strict_yaml import read_text

_FILES = click.argument(
    "files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILES"
)

_MAYBE_FILES = click.argument("files", nargs=-1, type=click.Path(dir_okay=False, path_type=Path), metavar="[FILES]")
_SHOWN = ("1h", "6h", "3d")


@click.group()
def command() -> None:
    """Service-level objectives (windvane.dev/v1alpha1 ServiceLevelObjective) on Istio's metrics."""


@command.command()
@_MAYBE_FILES
@click.option("--end", type=float, help="With FILES: the state at this time, Unix seconds (default: now).")
@server_option
@output_option
def status(files: tuple[Path, ...], end: float | None, output: str, server: str, tenant: str | None) -> None:
    """Budget, burn rates and forecast of exhaustion of the objectives in FILES, or of those that the server keeps.

    Exit code 1 when a page or a ticket would fire.
    """
    problems: list[dict[str, Any]] = []
    if files:
        found = [one for file in files for one in _ask(file, end, server, tenant)]
    elif end is not None:
        raise click.UsageError("--end needs FILES")
    else:
        kept = answer(server, tenant, "objectives")
        found, problems = [one for each in kept["objectives"] for one in _kept(each)], kept["problems"]
    if output == "json":
        print_json({"objectives": found, **({} if files else {"problems": problems})})
    else:
        _print(found)
        for one in problems:
            click.echo(f"not in force: {one['file']}:{one['line']}: {one['path']}: {one['message']}")
        if not found:
            click.echo("the server keeps no objectives (windvane serve --slo FILE, or among the mesh's files)")
    sys.exit(1 if any(one["alerts"] for one in found) else 0)


def _kept(objective: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Indicators of an objective that the server keeps, as those of files are told; alerts are the rows that fire."""
    for one in objective["indicators"]:
        alerts = [
            {name: row[name] for name in ("severity", "long", "short", "threshold")}
            for row in one["windows"]
            if row["exceeded"]
        ]
        yield {
            **{name: value for name, value in one.items() if name not in ("windows", "history")},
            "name": objective["name"], "service": objective["service"], "alerts": alerts,
        }  # fmt: skip


@command.command()
@_FILES
def check(files: tuple[Path, ...]) -> None:
    """Check FILES of objectives."""
    for file in files:
        found = read(read_text(file), str(file))
        click.echo(f"{file}: valid, {len(found)} objectives: {', '.join(one.name for one in found)}")


@command.command()
@_FILES
def rules(files: tuple[Path, ...]) -> None:
    """Print Prometheus rules that alert when a budget of FILES burns too fast, one document an objective."""
    for file in files:
        for objective in read(read_text(file), str(file)):
            click.echo("---")
            click.echo(render(objective.slo, objective.labels), nl=False)


def _ask(file: Path, end: float | None, server: str, tenant: str | None) -> list[dict[str, Any]]:
    body = {"objectives": read_text(file), "file": str(file), "end": end}
    found: list[dict[str, Any]] = answer(server, tenant, "analytics/slo", content=orjson.dumps(body))["objectives"]
    return found


def _print(found: list[dict[str, Any]]) -> None:
    print_table(
        ["objective", "of", "wanted", "attained", "left", *(f"burn {one}" for one in _SHOWN), "gone in"],
        (_row(one) for one in found),
    )
    for line in _notes(found):
        click.echo(line)


def _row(one: Mapping[str, Any]) -> list[object]:
    attained = "no requests" if one["attained"] is None else f"{100 * one['attained']:.4g}%"
    return [
        one["name"], one["indicator"], f"{one['objective']:g}%", attained,
        "unknown" if one["remaining"] is None else f"{100 * one['remaining']:.1f}%",
        *(f"{one['burn'][window]:.2f}" for window in _SHOWN), _gone(one["exhaustion"]),
    ]  # fmt: skip


def _gone(found: Mapping[str, float | None] | None) -> str:
    if found is None:
        return "unknown"
    days, soonest, latest = (found[name] for name in ("days", "soonest", "latest"))
    if days is None:
        return "not foreseen" if soonest is None else f"not foreseen (at worst {soonest:.1f} d)"
    upto = "never" if latest is None else f"{latest:.1f}"
    return f"{days:.1f} d ({0 if soonest is None else soonest:.1f} … {upto})"


def _notes(found: list[dict[str, Any]]) -> Iterator[str]:
    for one in found:
        for alert in one["alerts"]:
            yield (
                f"{alert['severity']}: {one['name']} {one['indicator']} burns more than {alert['threshold']:g} × over "
                f"{alert['long']} and {alert['short']}"
            )
        if one["known_hours"] < one["hours"]:
            yield f"{one['name']} {one['indicator']}: {one['known_hours']} of {one['hours']} hours have data"
