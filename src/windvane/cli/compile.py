"""`windvane compile`: compile now what would otherwise be compiled while the first users wait."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable

import click


@click.command()
def command() -> None:
    """Compile numeric kernels into the cache on disk; `./run` does it at installation.

    Without it the first server does it in the background, which takes a minute or two once.
    """
    began = time.monotonic()
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=compiled) for compiled in (_receivers, _queries)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise click.ClickException("the kernels could not be compiled: see above")
    click.echo(f"compiled in {time.monotonic() - began:.1f} s")


# About the same work each, so that two processes take half the time of one.


def _receivers() -> None:
    _choose_folder()
    from windvane.analytics import detect  # noqa: PLC0415
    from windvane.ingest import otlp_metrics, otlp_spans, remote_write  # noqa: PLC0415  help must not load the compiler
    from windvane.signals.otlp import scan  # noqa: PLC0415
    from windvane.signals.remote_read import response  # noqa: PLC0415

    _each(otlp_spans.warm, remote_write.warm, otlp_metrics.warm, response.warm, scan.warm, detect.warm)


def _queries() -> None:
    _choose_folder()
    from windvane.api import prometheus_points  # noqa: PLC0415
    from windvane.promql.warm import warm, warm_native  # noqa: PLC0415

    _each(warm, warm_native, prometheus_points.warm)


def _choose_folder() -> None:
    """Kernels go where the server looks for them; to be called before what holds kernels is imported."""
    from windvane.promql.jit import choose_cache  # noqa: PLC0415

    choose_cache()


def _each(*compiled: Callable[[], object]) -> None:
    for one in compiled:
        one()
