"""`windvane up FILES…`: your own Istio YAML on real sidecars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from windvane.cli.mesh_options import mesh_options
from windvane.cli.output import output_option


@click.command(context_settings={"auto_envvar_prefix": "WINDVANE"})
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--traffic", type=click.Path(path_type=Path, exists=True, dir_okay=False), default=None,
              help="Traffic profile (YAML: users and their journeys) to send through the gateway.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(min=0.1), default=None,
              help="Send so many requests a second through the gateway (without --traffic: GET /).")  # fmt: skip
@click.option("--run-dir", type=click.Path(path_type=Path, file_okay=False), default=None,
              help="Where the store and the logs are kept  [default: .windvane/up]")  # fmt: skip
@mesh_options
@output_option
def command(**options: Any) -> None:
    """Run the mesh of Istio YAML files or directories on this machine, without Kubernetes.

    Every WorkloadEntry without an address gets an Envoy sidecar; its annotation windvane.dev/run
    (a command) or windvane.dev/emulate (a description) says what stands behind it. Edits are followed.
    """
    from windvane.local.run import run_up  # noqa: PLC0415  help must not load the mesh

    run_up(**options)
