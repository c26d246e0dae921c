"""`windvane query`: PromQL asked of a running server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
import httpx

from windvane.cli.output import output_option, print_json, print_table
from windvane.kit.errors import BadInputError, UnavailableError, WindvaneError


@click.command()
@click.argument("promql")
@click.option("--time", "at", help="Evaluation time: Unix seconds or RFC 3339 (default: now).")
@click.option("--start", help="First time of a range query.")
@click.option("--end", help="Last time of a range query.")
@click.option("--step", help="Step of a range query, for example 15s.")
@click.option("--server", default="http://127.0.0.1:9900", show_default=True, envvar="WINDVANE_SERVER",
              help="Base URL of the server.")  # fmt: skip
@click.option(
    "--explain",
    is_flag=True,
    help="Show the plan instead of the value: reads (from the store or the cache) and time per node.",
)
@output_option
def command(promql: str, server: str, explain: bool, output: str, **times: str | None) -> None:
    """Evaluate PROMQL at one time, or from --start to --end in steps."""
    path, form = _request(promql, times)
    if explain:
        form["stats"] = "all"
    answer = ask_promql(server, path, form)
    for note in (*answer.get("warnings", ()), *answer.get("infos", ())):
        click.echo(note, err=True)
    data = answer["data"]
    if explain:
        _print_explained(data["stats"], output)
    elif output == "json":
        print_json(data)
    else:
        _print_data(data)


def _request(promql: str, times: dict[str, str | None]) -> tuple[str, dict[str, str]]:
    given = {name: value for name, value in times.items() if value is not None}
    if not given.keys() & {"start", "end", "step"}:
        return "query", {"query": promql} | ({"time": given["at"]} if "at" in given else {})
    if given.keys() != {"start", "end", "step"}:
        raise BadInputError("a range query needs --start, --end and --step, and no --time")
    return "query_range", {"query": promql, **given}


def ask_promql(server: str, path: str, form: dict[str, str], headers: dict[str, str] | None = None) -> dict[str, Any]:
    """Ask Prometheus's API of a server (`query`, `query_range`); its errors are raised as they are of their kind."""
    url = f"{server.rstrip('/')}/api/v1/{path}"
    try:
        response = httpx.post(url, data=form, headers=headers, timeout=150)
        answer: dict[str, Any] = response.json()
    except httpx.HTTPError as error:
        raise UnavailableError(f"no answer from {url}: {error}") from error
    except ValueError as error:
        raise UnavailableError(f"{url} did not answer in JSON; is it a Windvane server?") from error
    if answer.get("status") != "success":
        wrong = BadInputError if answer.get("errorType") == "bad_data" else WindvaneError
        raise wrong(str(answer.get("error", response.text)))
    return answer


def _print_data(data: dict[str, Any]) -> None:
    kind, result = data["resultType"], data["result"]
    if kind in ("scalar", "string"):
        click.echo(result[1])
    elif kind == "vector":
        print_table(["series", "value"], ((labels_text(one["metric"]), one["value"][1]) for one in result))
    else:
        print_table(["series", "time", "value"], _rows(result))


def _rows(result: list[dict[str, Any]]) -> Iterator[tuple[str, object, str]]:
    for one in result:
        shown = labels_text(one["metric"])
        for time, value in one["values"]:
            yield shown, time, value
            shown = ""


def labels_text(metric: dict[str, str]) -> str:
    """A label set as PromQL writes it."""
    inner = ", ".join(f'{name}="{value}"' for name, value in metric.items() if name != "__name__")
    name = metric.get("__name__", "")
    return f"{name}{{{inner}}}" if inner or not name else name


def _print_explained(stats: dict[str, Any], output: str) -> None:
    if output == "json":
        print_json(stats)
        return
    print_table(["read", "after", "until", "series", "samples", "from", "rows read", "ms"], (
        (r["matchers"], r["after"], r["until"], r["series"], r["samples"], r["source"], r["rows"], r["milliseconds"])
        for r in stats["reads"]
    ))  # fmt: skip
    print_table(["node", "series", "steps", "ms"], (
        ("  " * n["depth"] + n["node"], n["series"], n["steps"], n["milliseconds"]) for n in stats["nodes"]
    ))  # fmt: skip
