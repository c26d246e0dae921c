"""`windvane canary judge`: is a release worse, safe, or not yet known?"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from windvane.cli.client import answer, server_option
from windvane.cli.kayenta_options import kayenta_options, print_score, score
from windvane.cli.output import output_option, print_json, print_table
from windvane.cli.release_commands import COMMANDS as RELEASES
from windvane.cli.rollout_options import COMMANDS
from windvane.kit.clock import SystemClock
from windvane.kit.values import parse_duration

_CLUMPED = 1.5
_EXIT = {"safe": 0, "regress": 1, "more traffic needed": 3}


@click.group()
def command() -> None:
    """Releases: verdicts from what the proxies counted, and canaries carried out."""


@command.command()
@click.option("--service", required=True, help="NAME or NAME.NAMESPACE.")
@click.option("--baseline", required=True, help="The version that serves now.")
@click.option("--canary", required=True, help="The version to be judged.")
@click.option("--by", type=click.Choice(["version", "revision", "workload"]), default="version", show_default=True,
              help="What tells versions apart: destination_version, _canonical_revision or _workload.")  # fmt: skip
@click.option("--reporter", type=click.Choice(["destination", "source", "waypoint"]), default="destination",
              show_default=True, help="Whose metrics count.")  # fmt: skip
@click.option("--since", default="30m", show_default=True, help="How far back; best to the beginning of the release.")
@click.option("--start", type=float, help="Begin in Unix seconds, instead of --since.")
@click.option("--end", type=float, help="End in Unix seconds (default: now).")
@click.option("--alpha", type=float, default=0.05, show_default=True,
              help="Share of good canaries that may ever be called regressed.")  # fmt: skip
@click.option("--tolerated", type=float, default=1.0, show_default=True, help="Ratio of error rates that is tolerated.")
@click.option("--margin", type=float, default=2.0, show_default=True,
              help="Ratio of error rates below which a canary is safe.")  # fmt: skip
@click.option("--acceptable", type=float, default=0.005, show_default=True,
              help="Error rate that is safe whatever the baseline's.")  # fmt: skip
@click.option("--weights", help="Weights of baseline and canary in the routing, as 90,10: checks the split.")
@kayenta_options
@server_option
@output_option
def judge(
    output: str, server: str, tenant: str | None, config: Path | None, params: Sequence[str], **given: Any
) -> None:  # fmt: skip
    """Judge a canary against its baseline; may be asked as often as you like.

    The verdict is `regress`, `safe` or `more traffic needed`, with the exit code 1, 0 or 3.
    """
    asked = {name: value for name, value in given.items() if value is not None}
    found = answer(server, tenant, "analytics/canary", params=asked)
    if config is not None:
        end = given["end"] or SystemClock().now_ns() / 1e9
        start = given["start"] or end - parse_duration(given["since"])
        found["kayenta_config"] = score(
            server, tenant, config, (given["baseline"], given["canary"]), given["service"].partition(".")[2],
            params=params, between=(start, end),
        )  # fmt: skip
    if output == "json":
        print_json(found)
    else:
        print_verdict(found)
        if config is not None:
            print_score(found["kayenta_config"], config)
    sys.exit(_EXIT[found["verdict"]])


def print_verdict(found: Mapping[str, Any]) -> None:
    """A verdict for people."""
    click.echo(f"{found['service']} {found['canary']} against {found['baseline']}: {found['verdict'].upper()}")
    for reason in found["reasons"]:
        click.echo(f"  {reason}")
    click.echo(f"evidence of harm: {found['evidence']:.3g} (proven from {found['needed']:g})")
    if found["verdict"] == "more traffic needed":
        click.echo(f"{_needed(found)}; {_wait(found['minutes'])}")
    if found["split"] is not None:
        click.echo(f"split of traffic: p = {found['split']:.2g}")
    print_table(["", "verdict", "baseline", "canary", "change", "interval", "harm", "safety"], (
        (one["name"], one["verdict"], _value(one["base"], one["unit"]), _value(one["canary"], one["unit"]),
         _change(one["change"], one["unit"]), _interval(one), f"{one['harm']:.3g}", f"{one['safety']:.3g}")
        for one in found["findings"]
    ))  # fmt: skip
    for one in found["findings"]:
        if one["clump"] >= _CLUMPED:
            click.echo(f"{one['name']}: events come together by {one['clump']:.1f}; evidence is divided by it")
    print_table(["version", "pod", "requests", "errors"], (
        (one["version"], one["pod"], f"{one['requests']:.0f}", f"{one['errors']:.0f}") for one in found["pods"]
    ))  # fmt: skip
    kayenta = found["kayenta"]
    labels = ", ".join(f"{one['name']} {one['label']}" for one in kayenta["metrics"])
    click.echo(f"Kayenta's judge would say: {kayenta['score']:.0f} {kayenta['label']} ({labels})")


def _needed(found: Mapping[str, Any]) -> str:
    if found["minimum"] is None:
        return "no number of requests at this error rate proves it safe"
    return f"an equally good canary is proven safe by about {found['minimum']} requests of its own"


def _wait(minutes: float | None) -> str:
    return "not decided at this traffic" if minutes is None else f"decided in about {minutes:.0f} more minutes"


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{100 * value:.3g}%" if unit == "share" else f"{value:.3g} {unit}"


def _change(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:.2f} ×" if unit == "share" else f"{value:+.3f}"


def _interval(one: Mapping[str, Any]) -> str:
    if one["low"] is None and one["high"] is None:
        return ""
    shown = ["" if end is None else f"{end:.2f}" for end in (one["low"], one["high"])]
    return " … ".join(shown)


for _command in (*COMMANDS, *RELEASES):
    command.add_command(_command)
