"""`windvane up FILES…`: your own Istio YAML on real sidecars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from windvane.cli.output import output_option
from windvane.cli.serve import address_option


@click.command(context_settings={"auto_envvar_prefix": "WINDVANE"})
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--traffic", type=click.Path(path_type=Path, exists=True, dir_okay=False), default=None,
              help="Traffic profile (YAML: users and their journeys) to send through the gateway.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(min=0.1), default=None,
              help="Send so many requests a second through the gateway (without --traffic: GET /).")  # fmt: skip
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
              help="The ingress gateway, if the mesh has one.")  # fmt: skip
@click.option("--run-dir", type=click.Path(path_type=Path, file_okay=False), default=None,
              help="Where the store and the logs are kept  [default: .windvane/up]")  # fmt: skip
@click.option("--retention", default="15d", show_default=True, help="How long telemetry is kept: 15d, 12h, none.")
@output_option
def command(**options: Any) -> None:
    """Run the mesh of Istio YAML files or directories on this machine, without Kubernetes.

    Every WorkloadEntry without an address gets an Envoy sidecar; its annotation windvane.dev/run
    (a command) or windvane.dev/emulate (a description) says what stands behind it. Edits are followed.
    """
    from windvane.local.run import run_up  # noqa: PLC0415  help must not load the mesh

    run_up(**options)
