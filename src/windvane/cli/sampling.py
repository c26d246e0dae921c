"""`windvane sampling`: tail-sampling policies checked, tried on stored traces, and what those in force did."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import orjson

from windvane.cli.client import answer, server_option
from windvane.cli.output import output_option, print_json, print_table
from windvane.kit.strict_yaml import read_text
from windvane.kit.values import parse_duration
from windvane.tracing.sampling import policy_file


@click.group()
def command() -> None:
    """Which traces are kept: check policies, try them on what is stored, see what they did."""


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@output_option
def check(file: Path, output: str) -> None:
    """Check a file of tail-sampling policies. Exit code 1 when anything is wrong."""
    text = read_text(file)
    problems = policy_file.problems(text, str(file))
    if output == "json":
        print_json([{"file": one.file, "line": one.line, "path": one.path, "message": one.message} for one in problems])
    elif problems:
        for problem in problems:
            click.echo(str(problem))
    else:
        found = policy_file.read(text, str(file)).policies
        click.echo(f"{file}: valid, {len(found)} policies: {', '.join(one.name for one in found)}")
    sys.exit(1 if problems else 0)


@command.command("try")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--last", default="1h", show_default=True, help="How far back, up to a day, for example 15m.")
@server_option
@output_option
def attempt(file: Path, last: str, output: str, server: str, tenant: str | None) -> None:
    """What the policies of FILE would have kept of the traces that a server has stored. Nothing is changed."""
    body = {"policies": read_text(file), "file": str(file), "seconds": parse_duration(last)}
    outcome = answer(server, tenant, "sampling/try", content=orjson.dumps(body))
    if output == "json":
        print_json(outcome)
    else:
        _print_outcome(outcome)


@command.command()
@server_option
@output_option
def status(output: str, server: str, tenant: str | None) -> None:
    """What a server samples, and what its policies did in the last day."""
    state = answer(server, tenant, "sampling")
    if output == "json":
        print_json(state)
        return
    for name in ("strategies", "tail"):
        found = state[name] and state[name].get("file", state[name])
        click.echo(f"{name}: {found['source'] if found else 'none'}{_problem(found)}")
    if state["adaptive"] is not None:
        rows = ((one["service"], one["operation"], f"{one['probability']:.3g}") for one in state["adaptive"])
        print_table(["service", "operation", "probability"], rows, title="adaptive")
    if state["tail"]:
        _print_outcome(state["tail"]["last_day"])


def _problem(found: Mapping[str, Any] | None) -> str:
    return f" (its newest text is refused: {found['error']})" if found and found["error"] else ""


def _print_outcome(outcome: Mapping[str, Any]) -> None:
    traces, spans = outcome["traces"], outcome["spans"]
    click.echo(
        f"{outcome['traces_kept']} of {traces} traces kept ({_percent(outcome['traces_kept'], traces)}), "
        f"{outcome['spans_kept']} of {spans} spans ({_percent(outcome['spans_kept'], spans)}), "
        f"about {outcome['bytes_saved'] / 1e6:.1f} MB saved; the weights add up to {outcome['estimate']:.0f} traces"
    )
    rows = (
        (one["policy"] or "(no policy)", "kept" if one["kept"] else "dropped", one["traces"],
         _percent(one["traces"], traces))
        for one in outcome["policies"]
    )  # fmt: skip
    print_table(["policy", "decision", "traces", "share"], rows)


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "0%"
