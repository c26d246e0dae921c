"""`windvane check-config`: whether a Prometheus configuration file can be used, before it is."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from windvane.cli.output import print_json
from windvane.ingest.scrape.check import check
from windvane.kit.yaml_nodes import Problem


@click.command("check-config")
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path))
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print.")
def command(files: tuple[Path, ...], output: str) -> None:
    """Check Prometheus configuration files and the files they name.

    Exit code 1 when anything is wrong.
    """
    reports = [check(file) for file in files]
    problems = [problem for report in reports for problem in report.problems]
    if output == "json":
        print_json([_as_json(problem) for problem in problems])
    else:
        for report in reports:
            if not report.problems:
                click.echo(f"{report.file}: valid, {report.summary}")
            for problem in report.problems:
                click.echo(str(problem))
    sys.exit(1 if problems else 0)


def _as_json(problem: Problem) -> dict[str, object]:
    return {"file": problem.file, "line": problem.line, "path": problem.path, "message": problem.message}
