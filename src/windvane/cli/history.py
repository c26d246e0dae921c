"""`windvane history`: which configuration a mesh had when, what each changed, and what proxies said to it."""

from __future__ import annotations

import datetime
import difflib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from windvane.cli.client import answer, server_option
from windvane.cli.output import output_option, print_json, print_table
from windvane.kit.errors import BadInputError

_STYLES = {"+": "green", "-": "red", "@": "cyan"}
_SIGNS = {"added": "+", "changed": "~", "removed": "-"}
_SHOWN = 3


@click.group("history", invoke_without_command=True)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="So many, the newest.")
@click.option("--service", default="", help="Only versions that changed what concerns this service.")
@click.option("--at", "moment", default="", metavar="TIME",
              help="Show the version that was live then: 2026-01-31T12:00:00Z, or Unix seconds.")  # fmt: skip
@server_option
@output_option
@click.pass_context
def command(ctx: click.Context, /, output: str, server: str, tenant: str | None, **given: Any) -> None:
    """List the versions of a server's mesh configuration, the newest first."""
    if ctx.invoked_subcommand is not None:
        return
    if given["moment"]:
        _show(answer(server, tenant, "config/history/at", params={"time": given["moment"]}), output)
        return
    asked = {"limit": given["limit"], **({"service": given["service"]} if given["service"] else {})}
    found = answer(server, tenant, "config/history", params=asked)
    if output == "json":
        print_json(found)
        return
    columns = ("version", "hash", "live since", "for", "acked", "rejected", "changes")
    print_table(columns, (_row(one) for one in found["versions"]))


@command.command()
@click.argument("version")
@server_option
@output_option
def show(version: str, output: str, server: str, tenant: str | None) -> None:
    """Show one VERSION (its number, or the beginning of its hash): its changes, and the answers of proxies."""
    _show(answer(server, tenant, f"config/history/{_name(version)}"), output)


@command.command()
@click.argument("older")
@click.argument("newer")
@server_option
@output_option
def diff(older: str, newer: str, output: str, server: str, tenant: str | None) -> None:
    """Compare two versions. Exit code 1 when they differ."""
    found = answer(server, tenant, "config/history/diff", params={"from": _name(older), "to": _name(newer)})
    if output == "json":
        print_json(found)
    else:
        _print_changes(found["changes"])
    sys.exit(1 if found["changes"] else 0)


def _name(version: str) -> str:
    if not version.isalnum():
        raise BadInputError(f"{version!r} is no version: a number, or the beginning of a hash")
    return version


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    until = "live" if one["until"] is None else _duration(one["until"] - one["live_at"])
    told = _changes_told(one["changes"], sum(one[what] for what in _SIGNS))
    since = _clock(one["live_at"])[:19]
    return (one["number"], one["version"][:8], since, until, one["acknowledged"], one["rejected"], told)


def _changes_told(changes: Sequence[dict[str, Any]], total: int) -> str:
    shown = [f"{_SIGNS[one['change']]}{one['kind']} {one['namespace']}/{one['name']}" for one in changes[:_SHOWN]]
    more = total - len(shown)
    return ", ".join([*shown, *([f"{more} more"] if more > 0 else [])])


def _clock(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="seconds")


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f}{unit}"
    return f"{seconds:.1f}s"


def _show(found: dict[str, Any], output: str) -> None:
    if output == "json":
        print_json(found)
        return
    until = "still live" if found["until"] is None else f"until {_clock(found['until'])}"
    click.echo(f"configuration {found['number']} ({found['version']}), live since {_clock(found['live_at'])}, {until}")
    click.echo(
        f"services: {found['services']}; workloads: {found['workloads']}; resources: {len(found['resources'])}\n"
    )
    rows = [
        (f"{one['workload']}.{one['namespace']}", one["state"], f"{one['at'] - found['live_at']:.2f} s",
         one["type"], one["reason"])
        for one in found["proxies"]
    ]  # fmt: skip
    print_table(("proxy", "answer", "after", "type", "reason"), rows)
    click.echo("")
    _print_changes(found["changes"])


def _print_changes(changes: Sequence[dict[str, Any]]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for one in changes:
        for line in _unified(one):
            console.print(Text(line, style=_STYLES.get(line[:1], "")))


def _unified(one: dict[str, Any]) -> Iterator[str]:
    name = f"{one['kind']} {one['namespace']}/{one['name']}"
    old, new = (name if one[side] else "/dev/null" for side in ("before", "after"))
    return difflib.unified_diff(one["before"].splitlines(), one["after"].splitlines(), old, new, lineterm="")
