"""`windvane demo`: a whole mesh with traffic, from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from windvane.cli.mesh_options import mesh_options
from windvane.cli.output import output_option


@click.command(context_settings={"auto_envvar_prefix": "WINDVANE"})
@click.option(
    "--scenario", default="shop", show_default=True, help="Which mesh to run; its YAML is copied to be edited."
)
@click.option("--rate", type=click.FloatRange(min=0.1), default=50.0, show_default=True,
              help="Mean requests a second through the ingress gateway.")  # fmt: skip
@click.option("--run-dir", type=click.Path(path_type=Path, file_okay=False), default=None,
              help="Where the mesh's YAML, store and logs are kept  [default: .windvane/SCENARIO]")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Begin anew: discard the run directory's store and edits.")
@click.option("--browser/--no-browser", default=None, help="Open the console [default: on a graphical terminal]")
@click.option("--canary", metavar="good|bad|slow[@SERVICE],…", default=None,
              help="Release a second version of a service: one as good as the first, one with twice the errors, or a "
              "slow one; for example bad@recommendation,after=60s,share=2%,by=2.")  # fmt: skip
@mesh_options
@output_option
def command(**options: Any) -> None:
    """Run a scenario: real Envoy sidecars, emulated services, traffic, and the console that watches them.

    Ctrl-C stops everything. While it runs, edit the YAML whose place is printed and watch.
    """
    from windvane.local.run import run_demo  # noqa: PLC0415  help must not load the mesh

    run_demo(**options)
