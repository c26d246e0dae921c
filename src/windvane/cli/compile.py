"""`windvane compile`: compile now what would otherwise be compiled while the first users wait."""

from __future__ import annotations

import time

import click


@click.command()
def command() -> None:
    """Compile numeric kernels into the cache on disk; `./run` does it at installation.

    Without it the first server does it in the background, which takes the better part of a minute once.
    """
    from windvane.api import prometheus_points  # noqa: PLC0415  help must not load the compiler
    from windvane.ingest import otlp_metrics, otlp_spans, remote_write  # noqa: PLC0415
    from windvane.promql.warm import warm  # noqa: PLC0415
    from windvane.signals.otlp import scan  # noqa: PLC0415
    from windvane.signals.remote_read import response  # noqa: PLC0415

    began = time.monotonic()
    signals = (scan.warm, otlp_spans.warm, remote_write.warm, otlp_metrics.warm, response.warm)
    for compiled in (*signals, warm, prometheus_points.warm):
        compiled()
    click.echo(f"compiled in {time.monotonic() - began:.1f} s")
