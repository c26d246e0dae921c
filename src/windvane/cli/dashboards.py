"""`windvane dashboards`: the shipped dashboards, as a list and as Grafana's JSON."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from windvane.cli.output import print_json
from windvane.dashboards import DASHBOARDS, find
from windvane.kit.errors import BadInputError


@click.group("dashboards")
def command() -> None:
    """Istio's dashboards and Windvane's own: list them, or write them for Grafana."""


@command.command("list")
@click.option(
    "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="How to print."
)
def list_command(output: str) -> None:
    """Name every dashboard that ships."""
    rows = [
        {"name": one.uid, "title": one.title, "panels": len(one.panels), "description": one.description}
        for one in DASHBOARDS
    ]
    if output == "json":
        print_json(rows)
        return
    table = Table("name", "panels", "description", box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(str(row["name"]), str(row["panels"]), str(row["description"]))
    Console().print(table)


@command.command("export")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write NAME.json files there. Without it one dashboard goes to the standard output.",
)
def export_command(names: tuple[str, ...], directory: Path | None) -> None:
    """Write dashboards as Grafana's JSON; all of them where none is named.

    In Grafana: Dashboards, New, Import; or put the directory into a provisioning provider.
    """
    chosen = [find(name) for name in names] or list(DASHBOARDS)
    if directory is None and len(chosen) > 1:
        raise BadInputError("several dashboards need --dir, a directory to write them to")
    from windvane.dashboards.grafana import export  # noqa: PLC0415  only an export needs Grafana's library

    if directory is None:
        click.echo(export(chosen[0]), nl=False)
        return
    directory.mkdir(parents=True, exist_ok=True)
    for dashboard in chosen:
        file = directory / f"{dashboard.uid}.json"
        file.write_text(export(dashboard), encoding="utf-8")
        click.echo(str(file))
