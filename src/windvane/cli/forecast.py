"""`windvane forecast`: what series will be, with bands and the error of the backtest."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from windvane.cli.anomalies import clock
from windvane.cli.client import answer, server_option
from windvane.cli.output import output_option, print_json, print_table
from windvane.cli.query import labels_text

_LINES = 24


@click.command()
@click.argument("promql")
@click.option("--horizon", default="24h", show_default=True, help="How far ahead, up to 28d.")
@click.option("--history", default="28d", show_default=True, help="How far back is learnt from, up to 90d.")
@click.option("--time", type=float, help="Where the future begins, Unix seconds (default: now).")
@server_option
@output_option
def command(output: str, server: str, tenant: str | None, promql: str, **given: Any) -> None:
    """Forecast every series of PROMQL. At least three days of history are needed, and three horizons.

    Exit code 1 when no series could be forecast.
    """
    params = {"query": promql, **{name: value for name, value in given.items() if value is not None}}
    found = answer(server, tenant, "analytics/forecast", params=params)
    if output == "json":
        print_json(found)
    else:
        for one in found["series"]:
            _print(one)
        if not found["series"]:
            click.echo("no series")
    sys.exit(0 if any(not one["refused"] for one in found["series"]) else 1)


def _print(one: Mapping[str, Any]) -> None:
    click.echo(labels_text(one["labels"]))
    if one["refused"]:
        click.echo(f"  no forecast: {one['refused']}")
        return
    click.echo(
        f"  learnt from {one['days']:.1f} days; in the backtest it erred {one['error']:.2f} times as much as "
        "repeating the day before"
    )
    print_table(["time", "forecast", "80 %", "95 %"], _rows(one))


def _rows(one: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    every = max(1, len(one["times"]) // _LINES)
    for at in range(every - 1, len(one["times"]), every):
        bands = (f"{band['low'][at]:.4g} … {band['high'][at]:.4g}" for band in one["bands"])
        yield clock(one["times"][at]), f"{one['mean'][at]:.4g}", *bands
