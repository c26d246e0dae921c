"""`windvane compile`: compile now what would otherwise be compiled while the first users wait."""

from __future__ import annotations

import time

import click


@click.command()
def command() -> None:
    """Compile numeric kernels into the cache on disk; `./run` does it at installation.

    Without it the first server does it in the background, which takes about 15 seconds once.
    """
    from windvane.promql.warm import warm  # noqa: PLC0415  help must not load the compiler
    from windvane.signals.otlp import scan  # noqa: PLC0415

    began = time.monotonic()
    scan.warm()
    warm()
    click.echo(f"compiled in {time.monotonic() - began:.1f} s")
