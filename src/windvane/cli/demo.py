"""`windvane demo`: a whole mesh with traffic, from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from windvane.cli.output import output_option
from windvane.cli.serve import address_option


@click.command(context_settings={"auto_envvar_prefix": "WINDVANE"})
@click.option(
    "--scenario", default="shop", show_default=True, help="Which mesh to run; its YAML is copied to be edited."
)
@click.option("--rate", type=click.FloatRange(min=0.1), default=50.0, show_default=True,
              help="Mean requests a second through the ingress gateway.")  # fmt: skip
@click.option("--duration", default=None, help="Stop by itself after so much traffic, for example 60s.")
@click.option(
    "--day", default=None, help="Length of the daily shape of traffic, for example 10m; none for an even rate."
)
@click.option("--seed", type=int, default=None, help="For the same arrivals again.")
@click.option("--http", callback=address_option, default="127.0.0.1:9900", show_default=True,
              help="Console and HTTP APIs; moved to the next free port when taken.")  # fmt: skip
@click.option("--grpc", callback=address_option, default="127.0.0.1:4317", show_default=True,
              help="OTLP and Envoy access logs.")  # fmt: skip
@click.option("--otlp-http", callback=address_option, default="127.0.0.1:4318", show_default=True,
              help="OTLP over HTTP.")  # fmt: skip
@click.option("--ads", callback=address_option, default="127.0.0.1:15010", show_default=True,
              help="Control plane of the sidecars.")  # fmt: skip
@click.option("--gateway", callback=address_option, default="127.0.0.1:8080", show_default=True,
              help="The ingress gateway.")  # fmt: skip
@click.option("--run-dir", type=click.Path(path_type=Path, file_okay=False), default=None,
              help="Where the mesh's YAML, store and logs are kept  [default: .windvane/SCENARIO]")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Begin anew: discard the run directory's store and edits.")
@click.option("--retention", default="15d", show_default=True, help="How long telemetry is kept: 15d, 12h, none.")
@click.option("--browser/--no-browser", default=None, help="Open the console [default: on a graphical terminal]")
@output_option
def command(**options: Any) -> None:
    """Run a scenario: real Envoy sidecars, emulated services, traffic, and the console that watches them.

    Ctrl-C stops everything. While it runs, edit the YAML whose place is printed and watch.
    """
    from windvane.local.run import run_demo  # noqa: PLC0415  help must not load the mesh

    run_demo(**options)
