"""`windvane canary run`: a release carried out on files by this process."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from windvane.cli.client import answer, server_option, tenant_headers
from windvane.cli.query import ask_promql
from windvane.kit.clock import SystemClock
from windvane.kit.errors import BadInputError, NotFoundError
from windvane.rollout.machine import Found
from windvane.rollout.plan import Plan
from windvane.rollout.run import Around, Files
from windvane.rollout.run import run as carry_out

_CANARY = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.command()
@_CANARY
@click.option("--routes", required=True, type=click.Path(exists=True, path_type=Path),
              help="The VirtualService or HTTPRoute to change: its file, or a folder with one that fits.")  # fmt: skip
@click.option("--again", is_flag=True, help="Begin anew where the release of these versions is over.")
@server_option
def run(file: Path, routes: Path, again: bool, server: str, tenant: str | None) -> None:
    """Carry out the release of the Canary in FILE: raise weights while verdicts allow it, promote or roll back.

    Goes on where it was when started again. Exit code 0 promoted, 1 rolled back.
    """

    def judge(plan: Plan, start: float, end: float) -> Found:
        return ask(server, tenant, plan, start, end)

    def measure(query: str, at: float) -> float | None:
        return measured(server, tenant, query, at)

    files = Files(file, routes)
    if again and files.load().over:
        files.state.unlink()
    state = asyncio.run(carry_out(files, Around(judge, SystemClock(), click.echo, measure)))
    sys.exit(0 if state.phase == "Succeeded" else 1)


def ask(server: str, tenant: str | None, plan: Plan, start: float, end: float) -> Found:
    """The verdict of a server."""
    settings = plan.settings
    params: dict[str, str | float] = {
        **plan.question(), "start": start, "end": end, "alpha": settings.alpha, "tolerated": settings.tolerated,
        "margin": settings.margin, "acceptable": settings.acceptable,
    }  # fmt: skip
    try:
        found = answer(server, tenant, "analytics/canary", params=params)
    except NotFoundError as error:
        return Found("more traffic needed", (error.message,), traffic=False)
    return Found(found["verdict"], found["reasons"], traffic=bool(found["findings"]))


def measured(server: str, tenant: str | None, query: str, at: float) -> float | None:
    """The one value of a PromQL query on a server, None where there is none; of several, `BadInputError`."""
    data = ask_promql(server, "query", {"query": query, "time": f"{at:.3f}"}, headers=tenant_headers(tenant))["data"]
    if data["resultType"] == "scalar":
        return float(data["result"][1])
    if data["resultType"] != "vector" or len(data["result"]) > 1:
        raise BadInputError(f"the query has {len(data['result'])} values, one is needed")
    return float(data["result"][0]["value"][1]) if data["result"] else None


COMMANDS = (run,)
