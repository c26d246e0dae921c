"""`windvane traces dependencies|paths`: who calls whom, and the ways of requests, asked of a running server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from windvane.cli.client import server_option
from windvane.cli.output import output_option, print_table
from windvane.cli.trace_analysis import ask, choice_options, ms, percent, show

_QUANTILES = ("p50", "p95", "p99")


@click.command()
@click.option("--service", help="Only edges from or to this service.")
@click.option("--start", help="Earliest start of a call, Unix seconds (default: an hour before the end).")
@click.option("--end", help="Latest start, Unix seconds (default: now).")
@click.option("--access-logs/--no-access-logs", default=True, show_default=True, help="Add what proxies logged.")
@server_option
@output_option
def dependencies(output: str, server: str, tenant: str | None, access_logs: bool, **given: str | None) -> None:
    """Who calls whom in a window: calls, failures and latency, from spans and from access logs."""
    asked = {**given, "access_logs": str(access_logs).lower()}
    show(output, ask(server, tenant, "dependencies", asked), _print_dependencies)


@click.command()
@choice_options
@server_option
@output_option
def paths(output: str, server: str, tenant: str | None, **given: Any) -> None:
    """Paths of requests from the roots of traces through --service to their last services."""
    show(output, ask(server, tenant, "paths", given), _print_paths)


def _print_dependencies(found: dict[str, Any]) -> None:
    columns = ["caller", "service", "connection", "from", "calls", "errors", "estimated", "failed",
               *(f"{name} ms" for name in _QUANTILES)]  # fmt: skip
    print_table(columns, (row for edge in found["dependencies"] for row in _rows(edge)))


def _rows(edge: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    for name, source in (("spans", "spans"), ("access_logs", "logs")):
        figures = edge[name]
        if figures is not None:
            yield (
                edge["parent"], edge["child"], edge["connection"], source, figures["calls"], figures["errors"],
                f"{figures['estimated_calls']:g}", percent(figures["error_share"]),
                *(ms(figures["duration_ms"][name]) for name in _QUANTILES),
            )  # fmt: skip


def _print_paths(found: dict[str, Any]) -> None:
    if found["truncated"]:
        click.echo("the newest traces; there may be more", err=True)
    print_table(["path", "traces", "failed", *(f"{name} ms" for name in _QUANTILES), "example"], (
        (" → ".join(f"{one['service']}: {one['operation']}" for one in path["entries"]), path["traces"],
         path["failed"], *(ms(path["duration_ms"][name]) for name in _QUANTILES), path["exemplars"][0])
        for path in found["paths"]
    ))  # fmt: skip


COMMANDS: Sequence[click.Command] = (dependencies, paths)
