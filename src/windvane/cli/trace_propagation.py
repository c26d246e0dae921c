"""`windvane traces propagation`: where trace context is lost, asked of a running server."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from windvane.cli.client import server_option
from windvane.cli.output import output_option, print_json, print_table
from windvane.cli.trace_analysis import ask, percent

_STATUS = {
    "loses": "loses context",
    "keeps": "keeps it",
    "unclear": "unclear",
    "own": "calls of its own",
}


@click.command()
@click.option("--start", help="Earliest start, Unix seconds (default: an hour before the end).")
@click.option("--end", help="Latest start, Unix seconds (default: now).")
@click.option("--workload", help="Only this workload.")
@click.option("--namespace", help="Only workloads of this namespace.")
@server_option
@output_option
def propagation(output: str, server: str, tenant: str | None, **given: Any) -> None:
    """Which workloads do not hand on the headers of a trace, which headers, and what to change.

    Exit code 1 when any workload loses context.
    """
    found = ask(server, tenant, "propagation", given)
    losing = [one for one in found["workloads"] if one["status"] == "loses"]
    if output == "json":
        print_json(found)
    else:
        _print(found, losing)
    sys.exit(1 if losing else 0)


def _print(found: Mapping[str, Any], losing: list[dict[str, Any]]) -> None:
    since = f" since {found['start'][:19]}, the newest that are read at once" if found["truncated"] else ""
    click.echo(f"{found['served']} requests served, {found['calls']} calls made{since}")
    for one in found["formats"]:
        click.echo(f"{one['name']} ({one['certainty']}: {one['evidence']})")
    print_table(
        ["workload", "calls", "lost", "lost share (95 %)", "unknown", "own", "how sure", "dropped", "verdict"],
        (_row(one) for one in found["workloads"]),
    )
    for one in losing:
        _print_losing(one)


def _row(one: Mapping[str, Any]) -> tuple[object, ...]:
    counts = one["counts"]
    return (
        _name(one), counts["calls"], counts["lost"], _share(counts), counts["unknown"], counts["own"],
        one["certainty"] if counts["lost"] else "", ", ".join(map(_header, one["dropped"])), _STATUS[one["status"]],
    )  # fmt: skip


def _print_losing(one: Mapping[str, Any]) -> None:
    click.echo(f"\n{_name(one)}: {one['advice']['text']}")
    print_table(["calls to", "calls", "lost", "lost share (95 %)"], (
        (edge["destination"], edge["counts"]["calls"], edge["counts"]["lost"], _share(edge["counts"]))
        for edge in one["edges"] if edge["counts"]["lost"]
    ))  # fmt: skip
    print_table(["request in trace", "call began trace", "to", "by"], (
        (lost["inbound_trace"], lost["outbound_trace"], lost["destination"], _by(lost)) for lost in one["examples"]
    ))  # fmt: skip
    if one["advice"]["snippet"]:
        click.echo(f"{one['advice']['language']} ({one['language']['evidence']}):\n\n{one['advice']['snippet']}")


def _name(one: Mapping[str, Any]) -> str:
    return f"{one['workload']}.{one['namespace']}"


def _header(one: Mapping[str, str]) -> str:
    return f"{one['header']} ({one['certainty']})"


def _share(counts: Mapping[str, Any]) -> str:
    share = counts["share"]
    return f"{percent(share['value'])} ({percent(share['low'])} … {percent(share['high'])})"


def _by(lost: Mapping[str, Any]) -> str:
    others = f", one of {lost['candidates']}" if lost["candidates"] > 1 else ""
    return f"{lost['by']}{others}"
