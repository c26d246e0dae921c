"""`windvane logs`: log lines and access logs of a running server: search, tail, patterns; import from files."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click
import httpx
import orjson
from rich.console import Console
from rich.text import Text

from windvane.cli.client import answer, error_of, server_option, tenant_headers, url_of
from windvane.cli.log_import import import_logs
from windvane.cli.output import output_option, print_json, print_table
from windvane.kit.errors import BadInputError, UnavailableError
from windvane.kit.values import parse_duration

Command = TypeVar("Command", bound=Callable[..., Any])
_PAGE = 1_000
_COLOURS = {"trace": "dim", "debug": "dim", "warn": "yellow", "error": "red", "fatal": "bold red"}


@click.group()
def command() -> None:
    """Search OTLP logs and access logs, follow them, see their patterns; import access logs from files."""


command.add_command(import_logs)


def _chosen(wanted: Command) -> Command:
    """Add what chooses lines."""
    for option in (
        click.option("--kind", type=click.Choice(["all", "log", "access"]), default="all", show_default=True,
                     help="OTLP logs, access logs, or both."),
        click.option("--end", type=float, help="Latest time, Unix seconds (default: now)."),
        click.option("--start", type=float, help="Earliest time, Unix seconds, instead of --since."),
        click.option("--since", default="1h", show_default=True, help="How far back, for example 15m or 2d."),
        click.argument("query", default=""),
    ):  # fmt: skip
        wanted = option(wanted)
    return wanted


@command.command()
@_chosen
@click.option("--limit", default=100, show_default=True, help="So many lines at most.")
@click.option("--sort", type=click.Choice(["newest", "oldest"]), default="newest", show_default=True,
              help="Which come first.")  # fmt: skip
@click.option("--follow", "-f", is_flag=True, help="Show the newest, then go on with what is stored.")
@server_option
@output_option
def search(query: str, *, limit: int, sort: str, follow: bool, output: str, server: str, tenant: str | None,
           **given: Any) -> None:  # fmt: skip
    """Lines that match QUERY, for example 'severity>=warn timeout' or 'status>=500 service:reviews'."""
    if limit < 1:
        raise BadInputError(f"limit {limit}: expected at least 1")
    asked = {"q": query, "sort": sort, **_window(given)}
    if not follow:
        found = list(_lines(server, tenant, asked, limit))
        if output == "json":
            print_json({"lines": found})
        else:
            _print_lines(found)
        return
    stream = _stream(server, tenant, {"q": query, "kind": given["kind"]})
    next(stream)  # it follows from here on, so nothing is lost between the search and the stream
    found = list(_lines(server, tenant, asked, limit))
    found.sort(key=lambda line: str(line["time"]))
    _print_each(found, output)
    shown = {line["id"] for line in found}
    _print_stream((event for event in stream if event[1].get("id") not in shown), output)


@command.command()
@click.argument("query", default="")
@click.option("--kind", type=click.Choice(["all", "log", "access"]), default="all", show_default=True,
              help="OTLP logs, access logs, or both.")  # fmt: skip
@server_option
@output_option
def tail(query: str, kind: str, output: str, server: str, tenant: str | None) -> None:
    """Lines that match QUERY, as they are stored, until Ctrl-C; with JSON one object a line."""
    stream = _stream(server, tenant, {"q": query, "kind": kind})
    next(stream)
    _print_stream(stream, output)


@command.command()
@_chosen
@click.option("--limit", default=30, show_default=True, help="So many patterns at most.")
@click.option("--compare", help="Compare with the time before: so long, for example 1h.")
@server_option
@output_option
def patterns(query: str, *, limit: int, compare: str | None, output: str, server: str, tenant: str | None,
             **given: Any) -> None:  # fmt: skip
    """Shapes of the lines that match QUERY, the most frequent first; with --compare, what is new and what is gone."""
    asked = {"q": query, "limit": limit, **_window(given)}
    if compare is not None:
        asked["baseline_start"] = asked["start"] - parse_duration(compare)
    found = answer(server, tenant, "logs/patterns", params=asked)
    if output == "json":
        print_json(found)
        return
    if found["read"] < found["lines"]:
        click.echo(f"of {found['lines']} lines the newest {found['read']} are grouped", err=True)
    rows = [
        (one["count"], f"{one['share']:.1%}", one["severity"], one["status"], one["change"], one["template"])
        for one in found["patterns"]
    ]
    print_table(["lines", "share", "severity", "status", "change", "pattern"], rows)


def _window(given: dict[str, Any]) -> dict[str, Any]:
    end = given["end"] if given["end"] is not None else time.time() + 1
    start = given["start"] if given["start"] is not None else end - parse_duration(given["since"])
    return {"kind": given["kind"], "start": start, "end": end}


def _lines(server: str, tenant: str | None, asked: dict[str, Any], limit: int) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while limit > 0:
        page = {"limit": min(limit, _PAGE), **({"cursor": cursor} if cursor else {})}
        found = answer(server, tenant, "logs", params={**asked, **page})
        yield from found["lines"]
        limit -= len(found["lines"])
        cursor = found["next"]
        if cursor is None:
            return


def _stream(server: str, tenant: str | None, params: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Events of the tail, first one without a name when it has begun; connects again where it broke off."""
    url, last, begun = url_of(server, "logs/tail"), "", False
    while True:
        headers = tenant_headers(tenant) | ({"Last-Event-ID": last} if last else {})
        try:
            with httpx.stream("GET", url, params=params, headers=headers, timeout=httpx.Timeout(30)) as response:
                if response.is_error:
                    text = response.read().decode(errors="replace")
                    raise error_of(_object(text), text)
                for name, identity, data in _events(response.iter_lines()):
                    if not begun:
                        begun = True
                        yield "", {}
                    last = identity or last
                    if name:
                        yield name, _object(data)
        except httpx.HTTPError as error:
            if not begun:
                raise UnavailableError(f"no answer from {url}: {error}") from error
            click.echo(f"the stream broke off ({error}); it goes on where it was", err=True)
        time.sleep(1)


def _events(lines: Iterator[str]) -> Iterator[tuple[str, str, str]]:
    """Name, id and data of server-sent events; comments are events without a name."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            yield "", "", ""
        elif line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif fields:
            yield fields.get("event", ""), fields.get("id", ""), fields.get("data", "")
            fields = {}


def _object(text: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    return found if isinstance(found, dict) else {}


def _print_stream(stream: Iterator[tuple[str, dict[str, Any]]], output: str) -> None:
    try:
        for name, event in stream:
            if name == "line":
                _print_each([event], output)
            elif name == "skipped":
                click.echo(f"{event['lines']} lines were skipped: they came too fast", err=True)
    except KeyboardInterrupt:
        click.echo(err=True)


def _print_each(found: list[dict[str, Any]], output: str) -> None:
    if output != "json":
        _print_lines(found)
        return
    for line in found:
        sys.stdout.buffer.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def _print_lines(found: list[dict[str, Any]]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for line in found:
        severity = line["severity"]
        console.print(
            Text.assemble(
                (line["time"][:23].replace("T", " "), "dim"),
                " ",
                (f"{severity or '-':5}", _COLOURS.get(severity, "")),
                " ",
                (line["service"] or "-", "cyan"),
                f" {line['body']}",
                (f"  {line['trace_id']}" if line["trace_id"] else "", "dim"),
            )
        )
    sys.stdout.flush()
