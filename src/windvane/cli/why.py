"""`windvane why`: where it begins that a service fails or is slow."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from windvane.cli.anomalies import clock
from windvane.cli.client import answer, server_option
from windvane.cli.output import output_option, print_json
from windvane.kit.errors import BadInputError


@click.command()
@click.argument("service")
@click.option("--at", help="When: Unix seconds or ISO 8601 (default: now).")
@click.option("--signal", type=click.Choice(["errors", "latency"]), help="What to follow (default: what departs more).")
@server_option
@output_option
def command(output: str, server: str, tenant: str | None, service: str, **given: str | None) -> None:
    """Follow what SERVICE (NAME or NAME.NAMESPACE) shows down its calls to where it begins.

    The ten minutes before the time are compared with the hour before them.
    """
    params: dict[str, Any] = {"service": service}
    if given["at"]:
        params["time"] = _seconds(given["at"])
    if given["signal"]:
        params["signal"] = given["signal"]
    found = answer(server, tenant, "analytics/why", params=params)
    if output == "json":
        print_json(found)
        return
    name = f"{found['service']}.{found['namespace']}"
    for note in found["notes"]:
        click.echo(f"{name}: {note}")
    if found["signal"] and found["causes"]:
        click.echo(f"{name}: {found['signal']} since {clock(found['since'])}; likeliest cause first")
    for place, one in enumerate(found["causes"], 1):
        click.echo(f"{place}. {one['text']} (confidence {one['confidence']:.0%})")
        if len(one["path"]) > 1:
            click.echo(f"   by way of {', '.join(one['path'])}")


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise BadInputError(f"at {text!r}: expected Unix seconds or ISO 8601") from error
