"""`windvane scenarios`: the meshes that come with the program, what they show, and the proof."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

import click

from windvane.cli.output import output_option, print_json, print_table


@click.group("scenarios", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Meshes for `windvane demo --scenario NAME`: list what they show (without a subcommand), or verify it."""
    if context.invoked_subcommand is None:
        context.invoke(list_)


@command.command("list")
@output_option
def list_(output: str = "table") -> None:
    """List scenarios with what they show."""
    from windvane.local.rundir import scenario_claims, scenarios  # noqa: PLC0415  help must not load the mesh

    known = {name: scenario_claims(name) for name in scenarios()}
    if output == "json":
        print_json([{"scenario": name, **claims.model_dump(exclude_none=True)} for name, claims in known.items()])
        return
    for name, claims in known.items():
        click.echo(f"{name}: {claims.title}\n{claims.about}\n" if claims.about else f"{name}: {claims.title}\n")
        print_table(("shows", "claim"), ((each.shows, each.claim) for each in claims.claims))
        click.echo()


@command.command()
@click.argument("name")
@click.option("--within", default="60s", show_default=True, help="How long there is traffic at most until all holds.")
@click.option(
    "--rate", type=click.FloatRange(min=0.1), default=None, help="Requests a second [default: the scenario's]"
)
@click.option("--queries", is_flag=True, help="Print each claim's query, too.")
@output_option
def verify(name: str, within: str, rate: float | None, queries: bool, output: str) -> None:
    """Run scenario NAME on real Envoys and ask its telemetry whether everything holds that it claims.

    Exit code 1 when something does not.
    """
    from windvane.kit.clock import SystemClock  # noqa: PLC0415  help must not load the mesh
    from windvane.kit.values import parse_duration  # noqa: PLC0415
    from windvane.local.verify import VerifyOptions, verify  # noqa: PLC0415

    def report(event: str, fields: Mapping[str, object]) -> None:
        if event == "ready" and "console" in fields:
            click.echo(f"the mesh is up ({fields['console']}); waiting for its telemetry", err=True)

    options = VerifyOptions(name, parse_duration(within), rate)
    found = asyncio.run(verify(options, SystemClock(), report))
    rows = [(each.claim.claim, each.claim.expected, each.seen, each.verdict) for each in found]
    names = ("claim", "expected", "seen", "verdict")
    if output == "json":
        whole = zip(rows, (each.claim for each in found), strict=True)
        print_json([dict(zip(names, row, strict=True)) | {"shows": of.shows, "query": of.query} for row, of in whole])
    else:
        print_table(names, rows)
        for each in found if queries else ():
            click.echo(f"\n{each.claim.claim}\n  {each.claim.query}")
    sys.exit(0 if all(each.verdict == "holds" for each in found) else 1)
