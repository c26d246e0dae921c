"""`windvane canary run`: a release carried out on files by this process."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from windvane.cli.client import answer, server_option
from windvane.kit.clock import SystemClock
from windvane.kit.errors import NotFoundError
from windvane.rollout.machine import Found
from windvane.rollout.plan import Plan
from windvane.rollout.run import Around, Files
from windvane.rollout.run import run as carry_out

_CANARY = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.command()
@_CANARY
@click.option("--routes", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The file with the VirtualService whose weights are changed.")  # fmt: skip
@server_option
def run(file: Path, routes: Path, server: str, tenant: str | None) -> None:
    """Carry out the release of the Canary in FILE: raise weights while verdicts allow it, promote or roll back.

    Goes on where it was when started again. Exit code 0 promoted, 1 rolled back.
    """

    def judge(plan: Plan, start: float, end: float) -> Found:
        return ask(server, tenant, plan, start, end)

    state = asyncio.run(carry_out(Files(file, routes), Around(judge, SystemClock(), click.echo)))
    sys.exit(0 if state.phase == "Succeeded" else 1)


def ask(server: str, tenant: str | None, plan: Plan, start: float, end: float) -> Found:
    """The verdict of a server."""
    settings = plan.settings
    params: dict[str, str | float] = {
        "service": f"{plan.service}.{plan.namespace}", "baseline": plan.baseline, "canary": plan.canary,
        "start": start, "end": end, "alpha": settings.alpha, "tolerated": settings.tolerated,
        "margin": settings.margin, "acceptable": settings.acceptable,
    }  # fmt: skip
    try:
        found = answer(server, tenant, "analytics/canary", params=params)
    except NotFoundError as error:
        return Found("more traffic needed", (error.message,), traffic=False)
    return Found(found["verdict"], found["reasons"], traffic=bool(found["findings"]))


COMMANDS = (run,)
