"""`windvane detect`: what is odd in any series."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from windvane.cli.anomalies import clock
from windvane.cli.client import answer, server_option
from windvane.cli.output import output_option, print_json, print_table
from windvane.cli.query import labels_text

_WHY = {
    "level": "far from all that was", "season": "unlike this time of other days", "shape": "a shape that never was",
    "sudden": "sudden",
}  # fmt: skip


@click.command()
@click.argument("promql")
@click.option("--since", default="24h", show_default=True, help="How far back alerts are told, up to 90d.")
@click.option("--history", default="14d", show_default=True, help="How far back is learnt from, up to 90d.")
@click.option("--time", type=float, help="End of the time, Unix seconds (default: now).")
@server_option
@output_option
def command(output: str, server: str, tenant: str | None, promql: str, **given: Any) -> None:
    """Find what is odd in every series of PROMQL, judged by its own past alone. One alert an incident.

    Exit code 1 when something was odd, 2 when no series could be judged.
    """
    params = {"query": promql, **{name: value for name, value in given.items() if value is not None}}
    found = answer(server, tenant, "analytics/detect", params=params)
    if output == "json":
        print_json(found)
    else:
        _print(found)
    judged = [one for one in found["series"] if not one["refused"]]
    sys.exit(2 if not judged else 1 if any(one["alerts"] for one in judged) else 0)


def _print(found: Mapping[str, Any]) -> None:
    series: Sequence[Mapping[str, Any]] = found["series"]
    judged = [one for one in series if not one["refused"]]
    alerts = sum(len(one["alerts"]) for one in judged)
    click.echo(
        f"{alerts} alert{'' if alerts == 1 else 's'} since {clock(found['since'])}; "
        f"{len(judged)} of {len(series)} series judged"
    )
    for one in series:
        if one["refused"]:
            click.echo(f"{labels_text(one['labels'])}\n  not judged: {one['refused']}")
    if alerts:
        print_table(["at", "score", "value", "expected", "why", "series"], _rows(judged))


def _rows(judged: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    every = [(alert, one["labels"]) for one in judged for alert in one["alerts"]]
    for alert, labels in sorted(every, key=lambda pair: pair[0]["at"]):
        expected = "-" if alert["expected"] is None else f"{alert['expected']:.4g}"
        yield (
            clock(alert["at"]), f"{alert['score']:.2f}", f"{alert['value']:.4g}", expected, _WHY[alert["why"]],
            labels_text(labels),
        )  # fmt: skip
