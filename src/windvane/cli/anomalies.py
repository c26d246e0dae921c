"""`windvane anomalies`: what was odd on a running server's mesh."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from windvane.cli.client import answer, server_option
from windvane.cli.output import output_option, print_json, print_table

_UNITS = {"rate": "/min", "latency": " ms", "errors": ""}


@click.command()
@click.option("--since", default="6h", show_default=True, help="How far back anomalies are told, up to 7d.")
@click.option("--history", default="8d", show_default=True, help="How far back is learnt from, up to 28d.")
@click.option("--service", help="Only this one: NAME or NAME.NAMESPACE.")
@click.option("--slo", type=float, default=0.999, show_default=True, help="Share of requests that must not fail.")
@click.option("--time", type=float, help="End of the time, Unix seconds (default: now).")
@server_option
@output_option
def command(output: str, server: str, tenant: str | None, **given: Any) -> None:
    """Rates, errors and latencies that were not as they should have been, grouped into incidents.

    Exit code 1 when any is still going on.
    """
    params = {name: value for name, value in given.items() if value is not None}
    found = answer(server, tenant, "analytics/anomalies", params=params)
    if output == "json":
        print_json(found)
    else:
        _print(found)
    sys.exit(1 if any(one["open"] for one in found["incidents"]) else 0)


def _print(found: Mapping[str, Any]) -> None:
    number = len(found["incidents"])
    click.echo(
        f"{number} incident{'' if number == 1 else 's'} since {clock(found['since'])}; "
        f"{found['services']} services judged by {found['days']:.1f} days"
    )
    if found["incidents"]:
        print_table(["began", "lasted", "service", "signal", "expected", "seen", "factor", "now"], _rows(found))


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for incident in found["incidents"]:
        for place, one in enumerate(incident["anomalies"]):
            yield (
                clock(one["start"]), f"{(one['end'] - one['start']) // 60 + 1} min",
                f"{'' if place == 0 else '  '}{one['service']}.{one['namespace']}", one["signal"],
                _figure(one["expected"], one["signal"]), _figure(one["seen"], one["signal"]),
                f"{one['factor']:.3g}×", "going on" if one["open"] else "over",
            )  # fmt: skip


def _figure(value: float | None, signal: str) -> str:
    if value is None:
        return "?"
    return f"{value:.2%}" if signal == "errors" else f"{value:.3g}{_UNITS[signal]}"


def clock(seconds: float) -> str:
    """A time of day with its date, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%m-%d %H:%M")
