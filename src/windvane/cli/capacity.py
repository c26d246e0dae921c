"""`windvane capacity`: what a service can take, and when that will be too little."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from windvane.cli.client import answer, server_option
from windvane.cli.output import output_option, print_json, print_table


@click.command()
@click.argument("service")
@click.option("--latency", help="Objective: the quantile of time stays within this, for example 300ms.")
@click.option("--quantile", type=float, default=0.95, show_default=True, help="Which quantile the objective is for.")
@click.option("--since", default="7d", show_default=True, help="How far back history is read, up to 90d.")
@click.option("--end", type=float, help="End of history, Unix seconds (default: now).")
@click.option("--replicas", type=float, default=1.0, show_default=True, help="What if: so many times the replicas.")
@click.option("--traffic", type=float, default=1.0, show_default=True, help="What if: so many times the peak.")
@click.option("--utilisation", help="PromQL of the busy share (0 to 1) of its workers; makes saturation surer.")
@server_option
@output_option
def command(output: str, server: str, tenant: str | None, **given: Any) -> None:
    """How much traffic SERVICE can take, from its own history of rate and time.

    A queue with c workers is fitted (its number is averaged over); bands hold the figure with 80 %.
    """
    params = {name: value for name, value in given.items() if value is not None}
    found = answer(server, tenant, "analytics/capacity", params=params)
    if output == "json":
        print_json(found)
        return
    print_table(["", "", "80 % band"], _rows(found))
    for note in found["notes"]:
        click.echo(f"note: {note}")


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    name = f"p{100 * found['quantile']:g}"
    yield "requests now", f"{found['now']:.3g}/s ({found['in_flight']:.3g} in flight)", ""
    yield "daily peak", f"{found['peak']:.3g}/s", ""
    yield "utilisation at that traffic", *_figure(found["utilisation"], 100, "%")
    yield f"{name} at that traffic", *_figure(found["at_traffic"], 1_000, " ms")
    yield "saturation", *_figure(found["saturation"], 1, "/s")
    if found["limit"] is not None:
        yield f"objective on {name} is met up to", *_figure(found["limit"], 1, "/s")
        yield "peaks reach it in", *(("not foreseen", "") if found["days"] is None else _figure(found["days"], 1, " d"))
    ceiling = found["scalability"]["ceiling"]
    yield "ceiling by the scalability law", "none seen" if ceiling is None else f"{ceiling:.3g}/s", ""


def _figure(found: Mapping[str, float | None], factor: float, unit: str) -> tuple[str, str]:
    value, low, high = (_shown(found[name], factor) for name in ("value", "low", "high"))
    return f"{value}{unit}", f"{low} … {high}"


def _shown(value: float | None, factor: float) -> str:
    return "∞" if value is None else f"{value * factor:.3g}"
