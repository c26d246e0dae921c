"""`windvane diff`: which requests two configurations treat differently, on real Envoys."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from windvane.cli.client import tenant_option
from windvane.cli.diff_report import as_document, print_report
from windvane.cli.mesh_files import load_view, namespace_options
from windvane.cli.output import print_json, print_yaml
from windvane.cli.traffic import Traffic
from windvane.kit.clock import SystemClock
from windvane.kit.errors import BadInputError
from windvane.local.diff.derive import Derived
from windvane.local.diff.distinct import Plan, plan
from windvane.local.diff.recorded import Recorded
from windvane.local.diff.report import Report, report
from windvane.local.diff.run import answers
from windvane.local.diff.structure import structure
from windvane.mesh.view import MeshView


@click.command("diff")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@namespace_options
@click.option("--traffic", "files", multiple=True, type=click.Path(path_type=Path, allow_dash=True, dir_okay=False),
              help="Recorded requests: access logs, OTLP or Jaeger JSON; can be repeated.")  # fmt: skip
@click.option(
    "--format", "form", default=None, help="Envoy's format string of the access logs, as `logs import` has it."
)
@click.option("--server", default=None, metavar="URL", help="Take the access logs of a running Windvane.")
@tenant_option
@click.option("--since", default="1h", show_default=True, help="How far back the server's access logs are taken.")
@click.option("--limit", type=click.IntRange(1), default=50_000, show_default=True,
              help="So many of the server's entries at most, the newest.")  # fmt: skip
@click.option("--max-distinct", type=click.IntRange(1), default=1_000, show_default=True,
              help="So many distinct requests at most, the most frequent.")  # fmt: skip
@click.option("--n", "-c", "times", type=click.IntRange(1, 10_000), default=30, show_default=True,
              help="How often a request is sent whose way is left to chance.")  # fmt: skip
@click.option("--fail-on", type=click.Choice(["changed", "broken", "none"]), default="changed", show_default=True,
              help="Exit with 1 for any change, only when requests are not served any more, or never.")  # fmt: skip
@click.option("--output", type=click.Choice(["text", "json", "yaml"]), default="text", show_default=True,
              help="How to print.")  # fmt: skip
def command(**given: Any) -> None:
    """Send requests through real Envoys with OLD and with NEW configuration, and tell which are treated differently.

    OLD and NEW are files or directories of Istio YAML, or - for standard input. Requests are those of recorded
    traffic, each distinct one once and weighted by how often it was seen; without traffic they are made from the
    routes and policies of both, and what differs in the proxies' configuration is listed. Nothing leaves the machine.

    Exit code 0 when all are treated the same, 1 when some are not (see --fail-on), 2 for wrong usage.
    """
    if given["old"] == given["new"] == "-":
        raise BadInputError("OLD and NEW cannot both be standard input")
    recorded = bool(given["files"] or given["server"])
    common = (given["namespace"], given["root_namespace"], given["mesh_config"])
    views = tuple(load_view((given[each],), *common) for each in ("old", "new"))
    requests, notes = _traffic(given) if recorded else _derived(views)
    asked = plan((views[0], views[1]), requests, given["max_distinct"])
    if recorded and not asked.total:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in asked.left_out.items())
        raise BadInputError(f"no request of the traffic can be sent{f' ({reasons})' if reasons else ''}")
    found = asyncio.run(_compared(asked, given["times"], quiet=given["output"] != "text"))
    if not recorded:
        found = replace(found, structure=structure(views[0], views[1]))
    if given["output"] == "text":
        print_report(found, notes)
    else:
        (print_json if given["output"] == "json" else print_yaml)(as_document(found, notes))
    sys.exit(1 if _fails(found, given["fail_on"]) else 0)


def _traffic(given: dict[str, Any]) -> tuple[Counter[Recorded], list[str]]:
    traffic = Traffic()
    for path in given["files"]:
        if str(path) == "-" and "-" in (given["old"], given["new"]):
            raise BadInputError("--traffic -: standard input is a configuration already")
        traffic.read_file(path, given["form"])
    if given["server"]:
        traffic.read_server(given["server"], given["tenant"], given["since"], given["limit"])
    if not traffic.requests:
        raise BadInputError("no requests were found in the traffic")
    return traffic.requests, traffic.notes


def _derived(views: Sequence[MeshView]) -> tuple[Counter[Recorded], list[str]]:
    derived = Derived()
    for view in views:
        derived.add(view)
    return derived.requests, list(derived.notes)


def _fails(found: Report, fail_on: str) -> bool:
    if fail_on == "broken":
        return any(each.breaks for each in found.changes)
    return fail_on == "changed" and not found.is_same


async def _compared(asked: Plan, times: int, *, quiet: bool) -> Report:
    both = []
    with _progress(len(asked.requests), quiet=quiet) as stage:
        for name, view in zip(("old", "new"), asked.views, strict=True):
            both.append(await answers(view, asked.requests, times, SystemClock(), stage(name)))
    return report(asked, both[0], both[1])


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[str], Callable[[int], None]]]:
    """A bar a configuration on a terminal's standard error; nothing elsewhere."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _: lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:

        def stage(name: str) -> Callable[[int], None]:
            task = progress.add_task(f"{name} configuration", total=total)
            return lambda count: progress.advance(task, count)

        yield stage
