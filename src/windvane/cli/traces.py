"""`windvane traces`: TraceQL asked of a running server, and one trace as a tree."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Iterator, Mapping
from typing import Any

import click
import httpx
import numpy as np
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from windvane.cli import trace_analysis, trace_graphs
from windvane.cli.client import server_option, tenant_headers
from windvane.cli.output import output_option, print_json, print_table
from windvane.cli.trace_analysis import ask
from windvane.cli.trace_propagation import propagation
from windvane.kit.errors import BadInputError, NotFoundError, UnavailableError, WindvaneError
from windvane.kit.values import parse_duration

_SECOND = 10**9
_ERRORS = {400: BadInputError, 404: NotFoundError}


@click.group()
def command() -> None:
    """Search traces with TraceQL, show one, count spans; answers from many: paths, flame graphs, differences."""


for _one in (*trace_analysis.COMMANDS, *trace_graphs.COMMANDS, propagation):
    command.add_command(_one)


@command.command()
@click.argument("traceql")
@click.option("--since", default="1h", show_default=True, help="How far back, for example 15m or 2d.")
@click.option("--limit", default=20, show_default=True, help="So many traces at most, the newest.")
@server_option
@output_option
def search(traceql: str, since: str, limit: int, output: str, **target: str | None) -> None:
    """The newest traces that match TRACEQL, for example '{ status = error } >> { duration > 1s }'."""
    answer = _get(target, "/api/search", {"q": traceql, "limit": limit, **_since(since)}).json()
    if output == "json":
        print_json(answer)
        return
    if answer["metrics"].get("completedJobs") != answer["metrics"].get("totalJobs"):
        click.echo("the search took too long: these are the newest traces of a part of the time", err=True)
    print_table(["start", "trace", "root", "ms", "spans", "failed", "matched"], map(_row, answer["traces"]))


def _row(trace: Mapping[str, Any]) -> tuple[object, ...]:
    stats = list(trace["serviceStats"].values())
    return (
        _moment(int(trace["startTimeUnixNano"]))[:19],
        trace["traceID"],
        f"{trace['rootServiceName']} {trace['rootTraceName']}".strip(),
        trace["durationMs"],
        sum(one["spanCount"] for one in stats),
        sum(one["errorCount"] for one in stats),
        sum(found["matched"] for found in trace.get("spanSets", ())),
    )


@command.command()
@click.argument("trace_id")
@click.option("--inferred", is_flag=True, help="Attach the traces that calls of this one began without its headers.")
@server_option
@output_option
def show(trace_id: str, inferred: bool, output: str, **target: str | None) -> None:
    """One trace as a tree of its spans; JSON is OTLP, with --inferred that of Windvane's own API."""
    if inferred:
        _show_inferred(trace_id, output, target)
        return
    answer = _get(target, f"/api/v2/traces/{trace_id}", {}).json()["trace"]
    if output == "json":
        print_json(answer)
        return
    Console(highlight=False).print(tree_of(list(_spans(answer)), trace_id))


def _show_inferred(trace_id: str, output: str, target: Mapping[str, str | None]) -> None:
    answer = ask(target["server"] or "", target["tenant"], trace_id, {"inferred": 1})
    if output == "json":
        print_json(answer)
        return
    Console(highlight=False).print(tree_of([_as_otlp(span) for span in answer["spans"]], answer["trace_id"]))
    print_table(["inferred from", "to trace", "calls", "by", "candidates", "confidence"], (
        (one["parent_span"], one["trace"], one["destination"], one["by"], one["candidates"], f"{one['confidence']:.2f}")
        for one in answer["inferred"]
    ))  # fmt: skip
    if answer["truncated"]:
        click.echo("more traces belong to this one than are shown", err=True)


def _as_otlp(span: Mapping[str, Any]) -> dict[str, Any]:
    """What `tree_of` reads of a span of our own API; an inferred parent shows beside the name."""
    start = int(np.datetime64(span["start"].rstrip("Z"), "ns").astype(np.int64))
    sure = span["attributes"].get("windvane.inferred.confidence")
    return {
        "spanId": base64.b64encode(bytes.fromhex(span["span_id"])).decode(),
        "parentSpanId": base64.b64encode(bytes.fromhex(span["parent_id"])).decode(),
        "service": span["service"],
        "name": span["name"] if sure is None else f"{span['name']}  (inferred, {sure:.2f})",
        "kind": span["kind"].upper(),
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + round(span["duration_ms"] * 1e6)),
        "status": {"code": "STATUS_CODE_ERROR"} if span["status"] == "error" else {},
    }


def _spans(trace: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The spans of OTLP JSON, each with its service."""
    for batch in trace["resourceSpans"]:
        service = next((one["value"].get("stringValue", "") for one in batch["resource"].get("attributes", ())
                        if one["key"] == "service.name"), "")  # fmt: skip
        for scope in batch["scopeSpans"]:
            yield from ({**span, "service": service} for span in scope["spans"])


def tree_of(spans: list[dict[str, Any]], title: str) -> Tree:
    """Spans under their parents, by start; those whose parent is not there are roots."""
    spans.sort(key=lambda span: int(span["startTimeUnixNano"]))
    known = {span["spanId"] for span in spans}
    children: dict[str, list[dict[str, Any]]] = {}
    for span in spans:
        parent = span.get("parentSpanId", "")
        children.setdefault(parent if parent in known and parent != span["spanId"] else "", []).append(span)
    begin = int(spans[0]["startTimeUnixNano"])
    tree = Tree(Text(f"{title}  {_moment(begin)}  {len(spans)} spans", "bold"))
    pending = [(tree, span) for span in reversed(children.get("", ()))]
    while pending:
        above, span = pending.pop()
        node = above.add(_line(span, begin))
        pending += [(node, child) for child in reversed(children.pop(span["spanId"], []))]
    return tree


def _line(span: Mapping[str, Any], begin: int) -> Text:
    start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
    kind = span.get("kind", "").removeprefix("SPAN_KIND_").lower()
    line = Text.assemble((span["service"], "cyan"), "  ", span.get("name", ""), (f"  {kind}" if kind else "", "dim"))
    line.append(f"  +{(start - begin) / 1e6:.3g} ms, {(end - start) / 1e6:.3g} ms")
    if span["status"].get("code") == "STATUS_CODE_ERROR":
        line.append(f"  failed {span['status'].get('message', '')}".rstrip(), "red")
    line.append(f"  {base64.b64decode(span['spanId']).hex()}", "dim")
    return line


@command.command()
@click.argument("traceql")
@click.option("--since", default="1h", show_default=True, help="How far back, for example 15m or 2d.")
@click.option("--step", help="Length of a point, for example 1m; without it one value for all of the time.")
@server_option
@output_option
def metrics(traceql: str, since: str, step: str | None, output: str, **target: str | None) -> None:
    """Series of TRACEQL, for example '{ status = error } | rate() by (resource.service.name)'."""
    path = "/api/metrics/query_range" if step else "/api/metrics/query"
    params = {"q": traceql, **_since(since), **({"step": step} if step else {})}
    answer = _get(target, path, params).json()
    if output == "json":
        print_json(answer)
    elif step:
        print_table(["series", "time", "value"], _points(answer["series"]))
    else:
        print_table(["series", "value"], ((one["promLabels"], f"{one['value']:g}") for one in answer["series"]))


def _points(series: list[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for one in series:
        shown = one["promLabels"]
        for sample in one["samples"]:
            yield shown, _moment(int(sample["timestampMs"]) * 1_000_000), f"{sample['value']:g}"
            shown = ""


def _since(text: str) -> dict[str, int]:
    end = datetime.datetime.now(datetime.UTC).timestamp()
    return {"start": int(end - parse_duration(text)), "end": int(end) + 1}


def _moment(nanoseconds: int) -> str:
    whole = datetime.datetime.fromtimestamp(nanoseconds // _SECOND, datetime.UTC)
    return f"{whole:%Y-%m-%d %H:%M:%S}.{nanoseconds % _SECOND // 1_000_000:03d}"


def _get(target: Mapping[str, str | None], path: str, params: Mapping[str, Any]) -> httpx.Response:
    """An answer of Tempo's API; `target` are the values of `server_option`."""
    url = f"{(target['server'] or '').rstrip('/')}/tempo{path}"
    try:
        response = httpx.get(url, params=dict(params), headers=tenant_headers(target["tenant"]), timeout=150)
    except httpx.HTTPError as error:
        raise UnavailableError(f"no answer from {url}: {error}") from error
    if response.status_code != 200:
        raise _ERRORS.get(response.status_code, WindvaneError)(
            response.text.strip() or f"{url}: {response.status_code}"
        )
    if not response.headers.get("content-type", "").startswith("application/json"):
        raise UnavailableError(f"{url} did not answer in JSON; is it a Windvane server?")
    return response
