"""Options that `demo` and `up` share: traffic, addresses, retention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from windvane.cli.serve import address_option

Command = TypeVar("Command", bound=Callable[..., Any])


def _address(option: str, default: str, text: str) -> Callable[[Command], Command]:
    return click.option(option, callback=address_option, default=default, show_default=True, help=text)


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--duration", default=None, help="Stop by itself after so much traffic, for example 60s."),
    click.option(
        "--day", default=None, help="Length of traffic's daily shape, for example 10m; none for an even rate."
    ),
    click.option("--seed", type=int, default=None, help="For the same arrivals again."),
    click.option(
        "--fault",
        multiple=True,
        metavar="KIND@SERVICE,…",
        help="Let a service misbehave for a while: latency, errors, outage, retry-storm, slow-burn, network-delay; "
        "for example errors@reviews,after=60s,for=5m,every=30m,share=30% or latency@cart,by=300ms. May be repeated.",
    ),
    _address("--http", "127.0.0.1:9900", "Console and HTTP APIs; moved to the next free port when taken."),
    _address("--grpc", "127.0.0.1:4317", "OTLP and Envoy access logs."),
    _address("--otlp-http", "127.0.0.1:4318", "OTLP over HTTP."),
    _address("--ads", "127.0.0.1:15010", "Control plane of the sidecars."),
    _address("--gateway", "127.0.0.1:8080", "The ingress gateway, if the mesh has one."),
    click.option(
        "--allow-edits/--no-allow-edits",
        default=False,
        show_default=True,
        help="Let the console write changes into the mesh's files.",
    ),
    click.option(
        "--releases/--no-releases",
        default=True,
        show_default=True,
        help="Carry out the Canaries among the mesh's files: their routes' weights are changed.",
    ),
    click.option(
        "--watch/--no-watch",
        default=True,
        show_default=True,
        help="Judge every minute of the mesh's metrics, and tell of incidents.",
    ),
    click.option(
        "--slo",
        "slos",
        multiple=True,
        metavar="GLOB",
        help="Files of service-level objectives beside those among the mesh's files; may be repeated.",
    ),
    click.option(
        "--retention", default="15d", show_default=True, help="How long telemetry is kept: 15d, none, or 15d,traces=3d."
    ),
)


def mesh_options(command: Command) -> Command:
    """Add the shared options, in this order in the help."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
