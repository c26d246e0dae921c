"""`windvane anomalies`: what was odd on a running server's mesh, as the server noticed it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click
import orjson

from windvane.cli.client import answer, server_option
from windvane.cli.output import output_option, print_json, print_table
from windvane.kit.errors import BadInputError

_UNITS = {"rate": "/min", "latency": " ms", "errors": ""}


@click.group("anomalies", invoke_without_command=True)
@click.option("--since", default="6h", show_default=True,
              help="How far back incidents are told; with --history up to 7d.")  # fmt: skip
@click.option("--open", "open_", is_flag=True, help="Only those that go on.")
@click.option("--service", help="Only where this one has a part: NAME or NAME.NAMESPACE.")
@click.option("--time", type=float, help="End of the time, Unix seconds (default: now).")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1000), help="So many, the newest.")
@click.option("--history", metavar="DURATION",
              help="Judge anew, from so much history (up to 28d), instead of telling what was noticed.")  # fmt: skip
@click.option("--slo", type=float, help="With --history: share of requests that must not fail (default: 0.999).")
@server_option
@output_option
@click.pass_context
def command(ctx: click.Context, /, output: str, server: str, tenant: str | None, **given: Any) -> None:
    """Incidents that a server noticed: rates, errors and latencies that were not as they should have been.

    Exit code 1 when any is still going on.
    """
    if ctx.invoked_subcommand is not None:
        return
    if given["history"]:
        if given["open_"]:
            raise BadInputError("--open tells of what was noticed; it does not go with --history")
        found = _judged_anew(server, tenant, given)
    elif given["slo"] is not None:
        raise BadInputError("--slo needs --history: the server watches with an objective of its own")
    else:
        names = ("since", "service", "time", "limit")
        params = {name: given[name] for name in names if given[name] is not None}
        found = answer(server, tenant, "incidents", params=params | ({"open": "true"} if given["open_"] else {}))
    if output == "json":
        print_json(found)
    elif given["history"]:
        _print_judged(found)
    else:
        _print(found)
    sys.exit(1 if any(one["open"] for one in found["incidents"]) else 0)


@command.command()
@click.argument("incident")
@server_option
@output_option
def show(incident: str, output: str, server: str, tenant: str | None) -> None:
    """Show one INCIDENT (its id, or the beginning of it): signals, causes, changes, what became of it.

    Exit code 1 when it is still going on.
    """
    found = answer(server, tenant, f"incidents/{_id(incident)}")
    if output == "json":
        print_json(found)
    else:
        _show(found)
    sys.exit(1 if found["open"] else 0)


@command.command()
@click.argument("incident")
@click.argument("verdict", type=click.Choice(["not-an-anomaly", "confirmed", "none"]))
@click.option("--note", default="", help="Why.")
@server_option
@output_option
def feedback(incident: str, output: str, server: str, tenant: str | None, **given: str) -> None:
    """Say whether INCIDENT was one; VERDICT none takes back what was said.

    What is not-an-anomaly ends, and the same signal must depart clearly farther to alarm again for some weeks.
    """
    body = {"verdict": "" if given["verdict"] == "none" else given["verdict"], "note": given["note"]}
    found = answer(
        server, tenant, f"incidents/{_id(incident)}/feedback", content=orjson.dumps(body),
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    if output == "json":
        print_json(found)
        return
    click.echo(f"{found['id']}: {found['events'][-1]['text']}")


def _id(text: str) -> str:
    if not text.isalnum():
        raise BadInputError(f"{text!r} is no incident: its id, or the beginning of it")
    return text


def _judged_anew(server: str, tenant: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    names = ("since", "service", "time", "history", "slo")
    params = {name: given[name] for name in names if given[name] is not None}
    return answer(server, tenant, "analytics/anomalies", params=params)


def _print(found: Mapping[str, Any]) -> None:
    number = len(found["incidents"])
    click.echo(f"{number} incident{'' if number == 1 else 's'} since {clock(found['start'])}; {_watched(found)}")
    if not number:
        return
    rows = (
        (one["id"], clock(one["start"]), _lasted(one, found["end"]), one["severity"], one["title"],
         one["cause"]["text"] if one["cause"] else "", _state(one))
        for one in found["incidents"]
    )  # fmt: skip
    print_table(("incident", "began", "lasted", "severity", "what", "likeliest cause", "now"), rows)


def _watched(found: Mapping[str, Any]) -> str:
    """What the server judges, or why it does not."""
    watching = found["watching"]
    if watching["trouble"]:
        return f"not watching: {watching['trouble']}"
    if watching["learning"] is not None:
        return f"history is being learnt ({watching['learning']:.0%})"
    if watching["last"] is None:
        return "nothing was judged yet"
    return f"{watching['services']} services watched ({watching['scopes']} scopes), {watching['days']:.1f} days known"


def _lasted(one: Mapping[str, Any], now: int) -> str:
    return f"{(max(one['end'] or now, one['start']) - one['start']) // 60 + 1} min"


def _state(one: Mapping[str, Any]) -> str:
    said = one["feedback"]["verdict"] if one["feedback"] else ""
    return " ".join(filter(None, ("going on" if one["open"] else "over", f"({said})" if said else "")))


def _show(found: Mapping[str, Any]) -> None:
    until = "still going on" if found["open"] else f"over since {clock(found['end'])}"
    click.echo(f"{found['id']} ({found['severity']}): {found['title']}")
    click.echo(f"began {clock(found['start'])}, {until}")
    if found["feedback"]:
        note = f": {found['feedback']['note']}" if found["feedback"]["note"] else ""
        click.echo(f"said to be {found['feedback']['verdict']}{note}")
    click.echo("")
    print_table(["signal", "of", "began", "lasted", "expected", "seen", "factor", "now"], _parts(found))
    _why(found)
    for title, rows in (("Changed shortly before", found["changes"]), ("What became of it", found["events"])):
        if rows:
            click.echo(f"\n{title}:")
            for each in rows:
                click.echo(f"  {clock(each['at'])}  {each['text']}")


def _why(found: Mapping[str, Any]) -> None:
    why = found["why"] or {}
    explanation = why.get("explanation") or []
    text = "".join(each["text"] for each in explanation)
    if text:
        click.echo(f"\n{text}")
    causes = why.get("causes") or []
    if causes:
        click.echo("\nCauses, likeliest first:")
    for place, one in enumerate(causes, 1):
        click.echo(f"  {place}. {one['text']} (confidence {one['confidence']:.0%})")
    for note in [] if text else why.get("notes") or []:
        click.echo(f"  {note}")


def _parts(found: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for one in found["anomalies"]:
        yield (
            one["signal"], _scope(one["scope"]), clock(one["start"]), f"{(one['end'] - one['start']) // 60 + 1} min",
            _figure(one["expected"], one["signal"]), _figure(one["seen"], one["signal"]), f"{one['factor']:.3g}×",
            "going on" if one["open"] else "over",
        )  # fmt: skip


def _scope(scope: Mapping[str, str]) -> str:
    name = f"{scope['service']}.{scope['namespace']}" if scope["namespace"] else scope["service"]
    if scope["kind"] == "edge":
        return f"{scope['detail']} → {name}"
    return f"{name} {scope['detail']}" if scope["detail"] else name


def _print_judged(found: Mapping[str, Any]) -> None:
    number = len(found["incidents"])
    click.echo(
        f"{number} incident{'' if number == 1 else 's'} since {clock(found['since'])}; "
        f"{found['services']} services judged by {found['days']:.1f} days"
    )
    if found["incidents"]:
        print_table(["began", "lasted", "service", "signal", "expected", "seen", "factor", "now"], _rows(found))


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for incident in found["incidents"]:
        for place, one in enumerate(incident["anomalies"]):
            yield (
                clock(one["start"]), f"{(one['end'] - one['start']) // 60 + 1} min",
                f"{'' if place == 0 else '  '}{one['service']}.{one['namespace']}", one["signal"],
                _figure(one["expected"], one["signal"]), _figure(one["seen"], one["signal"]),
                f"{one['factor']:.3g}×", "going on" if one["open"] else "over",
            )  # fmt: skip


def _figure(value: float | None, signal: str) -> str:
    if value is None:
        return "?"
    return f"{value:.2%}" if signal == "errors" else f"{value:.3g}{_UNITS[signal]}"


def clock(seconds: float) -> str:
    """A time of day with its date, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%m-%d %H:%M")
