"""`windvane capacity`: what a service can take, and when that will be too little."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from windvane.cli.client import answer, server_option
from windvane.cli.output import output_option, print_json, print_table


@click.command()
@click.argument("service", required=False)
@click.option("--latency", help="Objective: the quantile of time stays within this, for example 300ms (default: the "
              "server's objective for the service).")  # fmt: skip
@click.option("--quantile", type=float, default=0.95, show_default=True, help="Which quantile the objective is for.")
@click.option("--since", default="7d", show_default=True, help="How far back history is read, up to 90d.")
@click.option("--end", type=float, help="End of history, Unix seconds (default: now).")
@click.option("--replicas", help="What if: so many replicas (6), or so many times today's (2x).")
@click.option("--replicas-now", type=int, help="How many there are, where metrics do not tell.")
@click.option("--traffic", help="What if: so many times today's traffic (1.5x).")
@click.option("--utilisation", help="PromQL of the busy share (0 to 1) of its workers; makes saturation surer.")
@server_option
@output_option
def command(output: str, server: str, tenant: str | None, service: str | None, **given: Any) -> None:
    """How much traffic SERVICE can take, from its own history of rate and time; without SERVICE: all by headroom.

    A queue with c workers is fitted (its number is averaged over); bands hold the figure with 80 %.
    """
    params = {name: value for name, value in given.items() if value is not None}
    if service is None:
        _list(output, server, tenant, params)
        return
    found = answer(server, tenant, "analytics/capacity", params={"service": service, **params})
    if output == "json":
        print_json(found)
        return
    print_table(["", "", "80 % band"], _rows(found))
    click.echo(_words(found))
    for note in found["notes"]:
        click.echo(f"note: {note}")


def _list(output: str, server: str, tenant: str | None, params: dict[str, Any]) -> None:
    odd = [name for name in ("replicas", "replicas_now", "traffic", "utilisation") if name in params]
    if odd:
        raise click.UsageError(f"--{odd[0].replace('_', '-')} needs SERVICE")
    params.pop("quantile", None)
    found = answer(server, tenant, "analytics/capacities", params=params)
    if output == "json":
        print_json(found)
        return
    rows = found["services"]
    print_table(
        ["service", "daily peak", "takes", "by", "headroom", "full in"],
        (_listed(one) for one in rows if not one["refused"]),
    )
    for one in rows:
        if one["refused"]:
            click.echo(f"{_name(one)}: not told: {one['refused']}")
    told = [one for one in rows if not one["refused"]]
    if told:
        click.echo(f"When all traffic grows alike, {_name(told[0])} is full first: at {told[0]['headroom']:.2f} x.")
    if not rows:
        click.echo("no service had requests in this time")
    if found["left_out"]:
        click.echo(f"{found['left_out']} services with less traffic are left out")


def _name(one: Mapping[str, Any]) -> str:
    return f"{one['service']}.{one['namespace']}" if one["namespace"] else str(one["service"])


def _listed(one: Mapping[str, Any]) -> tuple[str, ...]:
    limit, objective = one["limit"] or one["saturation"], one["latency"]
    by = "saturation" if objective is None else f"p{100 * one['quantile']:g} {1_000 * objective:g} ms"
    days = "not foreseen" if one["days"] is None else _figure(one["days"], 1, " d")[0]
    return _name(one), f"{one['peak']:.3g}/s", f"{limit['value']:.3g}/s", by, f"{one['headroom']:.2f} x", days


def _words(found: Mapping[str, Any]) -> str:
    """The answer in a sentence."""
    limit, days = found["limit"], found["days"]
    what = "saturation"
    if limit is None:
        limit, days = found["saturation"], found["full_days"]
    else:
        what = f"the objective of {1_000 * found['latency']:g} ms on p{100 * found['quantile']:g}"
    value, band = _figure(limit, 1, "/s")
    if days is None and found["growth"] is None:
        return f"{what} is hit at {value} ({band}); when daily peaks will be there is not known"
    if days is None:
        return f"{what} is hit at {value} ({band}); daily peaks are not expected there within twelve weeks"
    when, between = _figure(days, 1, " days")
    return f"{what} is hit at {value} ({band}), in {when} ({between})"


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    name = f"p{100 * found['quantile']:g}"
    if found["replicas"] != 1 or found["traffic"] != 1:
        yield "what if", f"{found['replicas']:.3g} x replicas, {found['traffic']:.3g} x traffic", ""
    yield "requests now", f"{found['now']:.3g}/s ({found['in_flight']:.3g} in flight)", ""
    yield "daily peak", f"{found['peak']:.3g}/s", ""
    yield "utilisation at that traffic", *_figure(found["utilisation"], 100, "%")
    yield f"{name} at that traffic", *_figure(found["at_traffic"], 1_000, " ms")
    yield "saturation", *_figure(found["saturation"], 1, "/s")
    yield "peaks reach it in", *_when(found["full_days"])
    if found["limit"] is not None:
        yield f"objective on {name} is met up to", *_figure(found["limit"], 1, "/s")
        yield "peaks reach it in", *_when(found["days"])
    if found["growth"] is not None:
        low, high = (100 * found["peaks"]["growth"][name] for name in ("low", "high"))
        yield "growth of peaks a day", f"{100 * found['growth']:.2g}%", f"{low:.2g} … {high:.2g}"
    ceiling = found["scalability"]["ceiling"]
    yield "ceiling by the scalability law", "none seen" if ceiling is None else f"{ceiling:.3g}/s", ""


def _when(days: Mapping[str, float | None] | None) -> tuple[str, str]:
    return ("not foreseen", "") if days is None else _figure(days, 1, " d")


def _figure(found: Mapping[str, float | None], factor: float, unit: str) -> tuple[str, str]:
    value, low, high = (_shown(found[name], factor) for name in ("value", "low", "high"))
    return f"{value}{unit}", f"{low} … {high}"


def _shown(value: float | None, factor: float) -> str:
    return "∞" if value is None else f"{value * factor:.3g}"
