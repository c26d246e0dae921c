"""`windvane test`: tests of routing and authorization, each sent through real Envoys."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from windvane.cli.mesh_files import load_view, mesh_files
from windvane.cli.test_report import Covered, print_results, print_results_json, write_junit
from windvane.kit.clock import SystemClock
from windvane.kit.errors import BadInputError, WindvaneError
from windvane.local.trial.asking import Asked, with_client
from windvane.local.trial.cases import Placed, read_cases
from windvane.local.trial.judge import Result, coverage, judged
from windvane.local.trial.mesh import TrialMesh, running
from windvane.local.trial.route_names import Rule
from windvane.local.trial.rules import hit, rule_coverage
from windvane.local.trial.sending import ask
from windvane.local.trial.tokens import Issuer
from windvane.mesh.view import MeshView

_KINDS = ("routes", "rules", "all")


class _Coverage(click.ParamType[dict[str, float]]):
    """`80`, `80%`, or `routes=90,rules=80`."""

    name = "PERCENT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, float]:
        wanted = {}
        for part in str(value).split(","):
            kind, equals, number = part.rpartition("=")
            try:
                wanted[kind if equals else "all"] = float(number.removesuffix("%")) / 100
            except ValueError:
                self.fail(f"{part!r}: expected a percentage such as 80, or routes=90,rules=80", param, ctx)
        if not wanted.keys() <= set(_KINDS) or not all(0 <= each <= 1 for each in wanted.values()):
            self.fail(f"{value!r}: expected {', '.join(_KINDS)} between 0 and 100 %", param, ctx)
        return wanted


@click.command("test")
@mesh_files
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), default=None, help="Write a JUnit report.")
@click.option("--match", default="", help="Only tests whose name contains this.")
@click.option("--min-coverage", type=_Coverage(), default=None,
              help="Fail when tests touch less of the routes and rules: 80, or routes=90,rules=80.")  # fmt: skip
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print.")
def command(**given: Any) -> None:
    """Run the tests (kind RequestTests) that stand beside Istio YAML, on real Envoys.

    Each test sends a request and says what must become of it: where it goes, with which path and headers, what
    refuses it. Routes that no test took and rules of authorization that no test matched are told. Exit code 1 when a
    test failed or too little was touched.
    """
    placed = [each for each in read_cases(given["paths"]) if given["match"] in each.title]
    if not placed:
        raise BadInputError("no tests: write a document of kind RequestTests (docs/reference/try-and-test.md)")
    view = load_view(given["paths"], given["namespace"], given["root_namespace"], given["mesh_config"])
    results, covered = asyncio.run(_run(view, placed))
    if given["junit"]:
        write_junit(given["junit"], results, covered)
    (print_results_json if given["output"] == "json" else print_results)(results, covered)
    enough = _enough(covered, given["min_coverage"] or {})
    sys.exit(0 if enough and all(each.passed for each in results) else 1)


def _enough(covered: Covered, wanted: dict[str, float]) -> bool:
    """Whether as much was touched as is asked for; what is missing is told."""
    missing = {kind: least for kind, least in wanted.items() if covered.share(kind) < least}
    for kind, least in missing.items():
        what = "routes and rules" if kind == "all" else kind
        click.echo(f"coverage of {what}: {covered.share(kind):.1%}, expected at least {least:.1%}", err=True)
    return not missing


async def _run(view: MeshView, placed: Sequence[Placed]) -> tuple[list[Result], Covered]:
    issuer = Issuer()
    if any(each.case.jwt is not None for each in placed):
        view = issuer.trusted(view)
    requests: list[tuple[str, Asked]] = []
    for each in placed:
        asked = each.case.asked()
        view, client = with_client(view, asked, each.case.from_)
        if each.case.jwt is not None:
            token = ("authorization", f"Bearer {issuer.token(view, each.case.jwt)}")
            asked = replace(asked, headers=(*asked.headers, token))
        requests.append((client, asked))
    async with running(view, requests, SystemClock()) as mesh:
        return await _judged(mesh, view, list(zip(placed, requests, strict=True)))


async def _judged(
    mesh: TrialMesh, view: MeshView, tests: Sequence[tuple[Placed, tuple[str, Asked]]]
) -> tuple[list[Result], Covered]:
    results, taken, hits = [], Counter[Rule](), Counter[str]()
    for each, (client, asked) in tests:
        began = time.perf_counter()
        try:
            followed = await ask(mesh, client, asked, each.case.times)
        except WindvaneError as error:
            results.append(Result(each, (), time.perf_counter() - began, error.message))
            continue
        taken.update(one.rule for one in followed if one.rule)
        hits.update(rule for one in followed for rule in hit(one))
        results.append(Result(each, judged(each.case.expect, followed), time.perf_counter() - began))
    rules = rule_coverage(view, hits.elements())
    return results, Covered(coverage(mesh.routes.rules.values(), taken), rules)
