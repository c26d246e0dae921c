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
from xml.etree import ElementTree

import click

from windvane.cli.mesh_files import load_view, mesh_files
from windvane.cli.output import print_json
from windvane.kit.clock import SystemClock
from windvane.kit.errors import BadInputError, WindvaneError
from windvane.local.trial.asking import Asked, with_client
from windvane.local.trial.cases import Placed, read_cases
from windvane.local.trial.judge import Result, RouteCoverage, coverage, judged
from windvane.local.trial.mesh import running
from windvane.local.trial.outcome import ask
from windvane.local.trial.tokens import Issuer
from windvane.mesh.view import MeshView


@click.command("test")
@mesh_files
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), default=None, help="Write a JUnit report.")
@click.option("--match", default="", help="Only tests whose name contains this.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print.")
def command(**given: Any) -> None:
    """Run the tests (kind RequestTests) that stand beside Istio YAML, on real Envoys.

    Each test sends a request and says what must become of it: where it goes, with which path and headers, what
    refuses it. Routes that no test took are told. Exit code 1 when a test failed.
    """
    placed = [each for each in read_cases(given["paths"]) if given["match"] in each.title]
    if not placed:
        raise BadInputError("no tests: write a document of kind RequestTests (docs/reference/testing.md)")
    view = load_view(given["paths"], given["namespace"], given["root_namespace"], given["mesh_config"])
    results, covered = asyncio.run(_run(view, placed))
    if given["junit"]:
        _write_junit(given["junit"], results)
    if given["output"] == "json":
        print_json({"tests": [_as_json(each) for each in results], "routes": covered})
    else:
        _print(results, covered)
    sys.exit(0 if all(each.passed for each in results) else 1)


async def _run(view: MeshView, placed: Sequence[Placed]) -> tuple[list[Result], list[RouteCoverage]]:
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
    results, taken = [], Counter[str]()
    async with running(view, requests, SystemClock()) as mesh:
        for each, (client, asked) in zip(placed, requests, strict=True):
            began = time.perf_counter()
            try:
                followed = await ask(mesh, client, asked, each.case.times)
            except WindvaneError as error:
                results.append(Result(each, (), time.perf_counter() - began, error.message))
                continue
            taken.update(one.route for one in followed)
            results.append(Result(each, judged(each.case.expect, followed), time.perf_counter() - began))
    return results, coverage(view, taken)


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "name": result.placed.title, "file": result.placed.file, "line": result.placed.line,
        "passed": result.passed, "failures": result.failures, "error": result.error, "seconds": result.seconds,
    }  # fmt: skip


def _print(results: Sequence[Result], covered: Sequence[RouteCoverage]) -> None:
    for each in results:
        mark = click.style("PASS", fg="green") if each.passed else click.style("FAIL", fg="red")
        click.echo(f"{mark}  {each.placed.title}  ({each.placed.file}:{each.placed.line}, {each.seconds:.2f} s)")
        for failure in (*each.failures, *([each.error] if each.error else [])):
            click.echo(f"      {failure}")
    missed = [one for one in covered if not one.requests]
    failed = sum(not each.passed for each in results)
    click.echo("")
    for one in missed:
        click.echo(f"not taken: route {one.route} of {one.resource} ({one.file}:{one.line})")
    routes = f"; {len(covered) - len(missed)} of {len(covered)} named routes taken" if covered else ""
    click.echo(f"{len(results) - failed} passed, {failed} failed{routes}")


def _write_junit(file: Path, results: Sequence[Result]) -> None:
    suite = ElementTree.Element(
        "testsuite", name="windvane", tests=str(len(results)), failures=str(sum(bool(one.failures) for one in results)),
        errors=str(sum(bool(one.error) for one in results)), time=f"{sum(one.seconds for one in results):.3f}",
    )  # fmt: skip
    for each in results:
        case = ElementTree.SubElement(
            suite, "testcase", name=each.placed.title, classname=each.placed.file, file=each.placed.file,
            line=str(each.placed.line), time=f"{each.seconds:.3f}",
        )  # fmt: skip
        for kind, texts in (("failure", each.failures), ("error", (each.error,) if each.error else ())):
            if texts:
                ElementTree.SubElement(case, kind, message=texts[0]).text = "\n".join(texts)
    ElementTree.ElementTree(suite).write(file, encoding="utf-8", xml_declaration=True)
