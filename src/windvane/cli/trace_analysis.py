"""`windvane traces critical-path|flame|compare|cohorts|findings`: analyses asked of a running server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson

from windvane.cli.client import answer, server_option
from windvane.cli.output import output_option, print_json, print_table
from windvane.kit.errors import BadInputError

Command = TypeVar("Command", bound=Callable[..., Any])
_BANDS = ("p50", "p95", "p99")


def choice_options(command: Command) -> Command:
    """Add the options that choose traces."""
    for option in (
        click.option("--limit", type=int, help="How many traces at most.  [default: 1000]"),
        click.option("--sort", type=click.Choice(["newest", "oldest", "slowest", "most"]), help="Which come first."),
        click.option("--max-duration", help="Greatest duration of the span."),
        click.option("--min-duration", help="Least duration of the span, for example 20ms."),
        click.option("--tag", multiple=True, metavar="KEY:VALUE", help="An attribute of the span; may be repeated."),
        click.option("--end", help="Latest start, Unix seconds (default: now)."),
        click.option("--start", help="Earliest start, Unix seconds (default: an hour before the end)."),
        click.option("--operation", help="The span's operation."),
        click.option("--service", help="Service of a span that meets all that is given."),
        click.option("--query", "q", help="What the span must satisfy, in the query bar's language."),
    ):
        command = option(command)
    return command


@click.command("critical-path")
@click.argument("trace_id", required=False)
@choice_options
@click.option("--faster", type=float, default=0.3, show_default=True, help="What if: so much less time, 0 to 1.")
@click.option("--faster-service", help="What if: of this service (default: the operations that own most).")
@click.option("--faster-operation", help="What if: of this operation.")
@server_option
@output_option
def critical_path(trace_id: str | None, output: str, server: str, tenant: str | None, **given: Any) -> None:
    """Which spans the duration is made of: of one trace, or of all that are chosen.

    With many traces: who owns how much of it around each quantile, and what would be gained.
    """
    if trace_id:
        found = ask(server, tenant, f"{trace_id}/critical-path", {})
        show(output, found, _print_path)
    else:
        show(output, ask(server, tenant, "critical-path", given), _print_paths)


@click.command()
@click.argument("trace_id", required=False)
@choice_options
@click.option("--min-share", type=float, default=0.01, show_default=True, help="Leave out what has less self time.")
@server_option
@output_option
def flame(trace_id: str | None, output: str, server: str, tenant: str | None, **given: Any) -> None:
    """Spans merged by the way of services and operations that leads to them: of one trace, or of many."""
    path = f"{trace_id}/flame" if trace_id else "flame"
    asked = {"min_share": given["min_share"]} if trace_id else given
    show(output, ask(server, tenant, path, asked), _print_flame)


@click.command()
@click.argument("a")
@click.argument("b")
@server_option
@output_option
def compare(a: str, b: str, output: str, server: str, tenant: str | None) -> None:
    """Two traces side by side, A and B by their ids: what B has more, lacks, or takes longer for."""
    show(output, ask(server, tenant, "compare", {"a": a, "b": b}), _print_comparison)


@click.command()
@click.argument("question", type=click.Path(exists=True, dir_okay=False, allow_dash=True), required=False)
@choice_options
@click.option("--baseline-query", "baseline_q", help="Baseline: what one span must satisfy.")
@click.option("--baseline-service", help="Baseline: the service (default: the selection's).")
@click.option("--baseline-tag", multiple=True, metavar="KEY:VALUE", help="Baseline: an attribute; may be repeated.")
@click.option("--baseline-start", help="Baseline: earliest start, Unix seconds (default: the selection's).")
@click.option("--baseline-end", help="Baseline: latest start (default: the selection's).")
@click.option("--rate", type=float, default=0.05, show_default=True, help="Accepted share of false findings.")
@click.option("--correction", type=click.Choice(["benjamini-hochberg", "holm"]), default="benjamini-hochberg",
              show_default=True, help="For the number of comparisons.")  # fmt: skip
@click.option("--support", type=int, default=10, show_default=True, help="Traces that must have a property.")
@server_option
@output_option
def cohorts(question: str | None, output: str, server: str, tenant: str | None, **given: Any) -> None:
    """What tells two sets of traces apart: attributes, operations, edges, failures, durations.

    The options choose the selection; without any --baseline option it is compared with all other traces of its service
    and times. QUESTION is a JSON file (- for standard input) with what the API takes, instead of options.
    """
    if question:
        data = sys.stdin.buffer.read() if question == "-" else Path(question).read_bytes()
    else:
        data = orjson.dumps(_question(given))
    found = answer(server, tenant, "traces/cohorts", content=data)
    show(output, found, _print_cohorts)


@click.command()
@choice_options
@click.option("--calls", type=int, help="Least similar calls under one parent.  [default: 5]")
@click.option("--attempts", type=int, help="Least attempts of one request at a cluster.  [default: 4]")
@server_option
@output_option
def findings(output: str, server: str, tenant: str | None, **given: Any) -> None:
    """Where failures begin, calls that repeat (N+1), retry storms, operations that became slower."""
    show(output, ask(server, tenant, "findings", given), _print_findings)


def _question(given: Mapping[str, Any]) -> dict[str, Any]:
    """The body that options stand for."""
    names = ("q", "service", "operation", "start", "end", "min_duration", "max_duration", "sort", "limit")
    chosen = {name: given[name] for name in names if given[name] is not None}
    question: dict[str, Any] = {
        "selection": {**chosen, "tags": _tags(given["tag"])},
        **{name: given[name] for name in ("rate", "correction", "support")},
    }
    own = {name: given[f"baseline_{name}"] for name in ("q", "service", "start", "end") if given[f"baseline_{name}"]}
    if own or given["baseline_tag"]:
        inherited = {name: chosen[name] for name in ("service", "start", "end", "limit") if name in chosen}
        question["baseline"] = {**inherited, **own, "tags": _tags(given["baseline_tag"])}
    return question


def _tags(texts: Iterable[str]) -> dict[str, str]:
    tags = {}
    for text in texts:
        key, colon, value = text.partition(":")
        if not colon:
            raise BadInputError(f"tag {text!r}: expected KEY:VALUE")
        tags[key] = value
    return tags


def ask(server: str, tenant: str | None, path: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the server answers under `/api/windvane/v1/traces/`; options that are not given are left out."""
    params = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    return answer(
        server, tenant, f"traces/{path}", params={name: value for name, value in params.items() if value is not None}
    )


def show(output: str, found: dict[str, Any], table: Callable[[dict[str, Any]], None]) -> None:
    """Print an answer as JSON, or as its table."""
    if output == "json":
        print_json(found)
    else:
        table(found)


def _print_path(found: dict[str, Any]) -> None:
    click.echo(f"{found['service']} {found['operation']}: {ms(found['duration_ms'])} ms, {found['spans']} spans")
    print_table(["from ms", "ms", "service", "operation", "span"], (
        (ms(one["start_ms"]), ms(one["duration_ms"]), one["service"], one["operation"], one["span_id"])
        for one in found["sections"]
    ))  # fmt: skip


def _print_paths(found: dict[str, Any]) -> None:
    quantiles = ", ".join(f"{name} {ms(found['duration_ms'][name])} ms" for name in _BANDS)
    click.echo(f"{_read(found)}: {quantiles}")
    for title, names in (("operations", ("service", "operation")), ("edges", ("caller", "service"))):
        print_table([*names, "traces", "share", *(f"share {band}" for band in _BANDS), "path ms", "self ms"], (
            (*(one[name] for name in names), one["traces"], percent(one["share"]),
             *(percent(one["at"][band]["share"]) for band in _BANDS), ms(one["path_ms"]), ms(one["self_ms"]))
            for one in found[title]
        ), title=title)  # fmt: skip
    print_table(["service", "operation", "faster by", *(f"{band} ms" for band in _BANDS)], (
        (one["service"], one["operation"], percent(one["faster"]),
         *(f"{ms(one['before_ms'][band])} → {ms(one['after_ms'][band])}" for band in _BANDS))
        for one in found["what_if"]
    ), title="what if")  # fmt: skip


def _print_flame(found: dict[str, Any]) -> None:
    click.echo(_read(found))
    print_table(["service: operation", "spans", "traces", "errors", "total ms", "self ms", "path ms"], (
        (_indented(one), one["spans"], one["traces"], one["errors"], ms(one["total_ms"]), ms(one["self_ms"]),
         ms(one["path_ms"]))
        for one in _nested(found["nodes"])
    ))  # fmt: skip


def _print_comparison(found: dict[str, Any]) -> None:
    click.echo(" against ".join(f"{found[side]['trace_id']} ({ms(found[side]['duration_ms'])} ms)" for side in "ab"))
    print_table(["service: operation", "change", "spans", "total ms", "self ms"], (
        (_indented(one), "" if one["change"] == "same" else one["change"], _both(one, "spans", str),
         _both(one, "total_ms", ms), _both(one, "self_ms", ms))
        for one in _nested(found["places"])
    ))  # fmt: skip


def _print_cohorts(found: dict[str, Any]) -> None:
    sizes = " against ".join(f"{found[side]['traces']} traces" for side in ("selection", "baseline"))
    click.echo(f"{sizes}; {found['comparisons']} comparisons, {found['correction']} at {found['rate']:g}")
    print_table(["kind", "what", "value", "selection", "baseline", "difference (95 %)", "ratio", "p adjusted"], (
        (one["kind"], one["key"], one["value"], percent(one["selection"]["share"]),
         percent(one["baseline"]["share"]), _interval(one["difference"]), f"{one['ratio']['value']:.2f}",
         f"{one['adjusted']:.2g}")
        for one in found["differences"]
    ), title="differences")  # fmt: skip
    print_table(["service", "operation", "selection p50 ms", "baseline p50 ms", "slower with", "p adjusted"], (
        (one["service"] or "(whole trace)", one["operation"], ms(one["selection"]["p50_ms"]),
         ms(one["baseline"]["p50_ms"]), percent(one["chance"]["value"]), f"{one['adjusted']:.2g}")
        for one in found["latencies"]
    ), title="latency")  # fmt: skip


def _print_findings(found: dict[str, Any]) -> None:
    click.echo(_read(found))
    print_table(["service", "operation", "traces", "reached the root", "example"], (
        (one["service"], one["operation"], one["traces"], one["reached"], one["trace_id"])
        for one in found["error_roots"]
    ), title="failures begin in")  # fmt: skip
    for title, kind in (("calls in a row (N+1)", "n_plus_one"), ("calls tried again", "retried")):
        print_table(["caller", "calls", "traces", "median", "most", "ms", "example"], (
            (_name(one["caller"]), _name(one["called"]), one["traces"], f"{one['calls']:g}", one["most"],
             ms(one["time_ms"]), one["trace_id"])
            for one in found[kind]
        ), title=title)  # fmt: skip
    print_table(["cluster", "route", "requests", "too often", "attempts", "most", "way", "example"], (
        (one["cluster"], one["route"], one["requests"], one["stormy"], one["attempts"], one["most"],
         " → ".join(str(hop["attempts"]) for hop in one["way"]), one["trace_id"] or one["request_id"])
        for one in found["retry_storms"]
    ), title="retry storms")  # fmt: skip
    print_table(["service", "operation", "spans", "slow", "p50 ms", "usual", "at most", "p adjusted", "example"], (
        (one["service"], one["operation"], one["spans"], one["slow"], ms(one["p50_ms"]), ms(one["baseline_p50_ms"]),
         f"{one['times']:.1f} ×", f"{one['adjusted']:.2g}", one["trace_id"])
        for one in found["slow"]
    ), title="slower than usual")  # fmt: skip


def _nested(nodes: Sequence[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Nodes of a list with parents' numbers, each followed by its children, the largest first."""
    children: dict[int, list[int]] = {}
    for number, node in enumerate(nodes):
        children.setdefault(node["parent"], []).append(number)
    pending = list(reversed(_largest(nodes, children.get(-1, []))))
    while pending:
        number = pending.pop()
        yield nodes[number]
        pending += reversed(_largest(nodes, children.get(number, [])))


def _largest(nodes: Sequence[dict[str, Any]], numbers: list[int]) -> list[int]:
    def total(number: int) -> float:
        node = nodes[number]
        return float(node["total_ms"] if "total_ms" in node else max(node[side]["total_ms"] for side in "ab"))

    return sorted(numbers, key=lambda number: (-total(number), number))


def _indented(one: dict[str, Any]) -> str:
    return "  " * int(one["depth"]) + _name(one)


def _name(one: dict[str, str]) -> str:
    return f"{one['service']}: {one['operation']}"


def _both(one: dict[str, Any], field: str, shown: Callable[[Any], str]) -> str:
    a, b = shown(one["a"][field]), shown(one["b"][field])
    return a if a == b else f"{a} → {b}"


def _read(found: dict[str, Any]) -> str:
    more = " (the newest; there may be more)" if found["truncated"] else ""
    return f"{found['traces']} traces, {found['spans']} spans{more}"


def _interval(one: dict[str, float]) -> str:
    return f"{one['value']:+.1%} ({one['low']:+.1%} … {one['high']:+.1%})"


def percent(share: float) -> str:
    """A share of 1 as people read it."""
    return f"{share:.1%}"


def ms(milliseconds: float) -> str:
    """Milliseconds to the microsecond."""
    return f"{milliseconds:.3f}"


COMMANDS: Sequence[click.Command] = (critical_path, flame, compare, cohorts, findings)
