"""`windvane why`: where it begins that a service fails, is slow, or is asked otherwise."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import click

from windvane.cli.anomalies import clock
from windvane.cli.client import answer, server_option
from windvane.cli.output import output_option, print_json
from windvane.kit.errors import BadInputError

_WIDTH = 110


@click.command()
@click.argument("service")
@click.option("--at", help="When: Unix seconds or ISO 8601 (default: now).")
@click.option("--signal", type=click.Choice(["errors", "latency", "rate"]),
              help="What to follow (default: what departs more).")  # fmt: skip
@click.option("--before", help="How much time teaches what is usual, such as 30m  [default: 60m]")
@click.option("--lang", type=click.Choice(["en", "zh"]), help="Language of the answer  [default: en]")
@server_option
@output_option
def command(output: str, server: str, tenant: str | None, service: str, **given: str | None) -> None:
    """Follow what SERVICE (NAME or NAME.NAMESPACE) shows down its calls to where it begins.

    The ten minutes before the time are compared with the hour before them. Each piece of evidence comes with the
    command that shows it again.
    """
    params: dict[str, Any] = {"service": service}
    if given["at"]:
        params["time"] = _seconds(given["at"])
    params |= {name: given[name] for name in ("signal", "before", "lang") if given[name]}
    found = answer(server, tenant, "analytics/why", params=params)
    if output == "json":
        print_json(found)
        return
    name = f"{found['service']}.{found['namespace']}"
    for note in found["notes"]:
        click.echo(f"{name}: {note}")
    if found["signal"] and found["causes"]:
        click.echo(_wrapped("".join(one["text"] for one in found["explanation"])))
        click.echo()
        click.echo(f"{name}: {found['signal']} since {clock(found['since'])}; likeliest cause first")
    for place, one in enumerate(found["causes"], 1):
        click.echo(f"{place}. {one['text']} (confidence {one['confidence']:.0%})")
        if len(one["path"]) > 1:
            click.echo(f"   by way of {', '.join(one['path'])}")
        for line in _evidence(one["evidence"], server):
            click.echo(line)
    changes = [one for one in found["changes"] if not one["relevance"]]
    if changes:
        click.echo("also changed near then:")
    for one in changes:
        click.echo(f"   {clock(int(one['at']))} {one['text']}")


def _evidence(found: list[Mapping[str, Any]], server: str) -> Iterator[str]:
    """Each piece, and below it the command that shows it; a command is told once."""
    told: set[str] = set()
    for one in found:
        yield _wrapped(f"- {one['text']}", "   ", "     ")
        shown = _shown(one["ref"], server)
        if shown and shown not in told:
            told.add(shown)
            yield f"       {shown}"


def _shown(ref: Mapping[str, Any] | None, server: str) -> str:
    """The command that shows what a reference points at; "" where there is none."""
    kind = ref["kind"] if ref else ""
    at = "" if server == "http://127.0.0.1:9900" else f" --server {shlex.quote(server)}"
    if ref is None or kind == "service":
        return ""
    if kind == "query":
        times = f"--start {ref['start']} --end {ref['end']} --step 60s"
        return f"windvane query {shlex.quote(ref['query'])} {times}{at}"
    if kind == "trace":
        return f"windvane traces show {ref['id']}{at}"
    return f"windvane history show {ref['number']}{at}"


def _wrapped(text: str, first: str = "", then: str = "") -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=first, subsequent_indent=then, break_on_hyphens=False)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise BadInputError(f"at {text!r}: expected Unix seconds or ISO 8601") from error
