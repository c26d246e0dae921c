"""`windvane canary list|status|pause|…`: releases that a server carries out, or that run here on a file.

What is named decides: a file that exists is a Canary carried out by `windvane canary run`, anything else is
NAME or NAMESPACE/NAME of a release of the server.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from windvane.cli.client import answer, server_option
from windvane.cli.output import output_option, print_json, print_table
from windvane.kit.errors import BadInputError, NotFoundError, WindvaneError
from windvane.rollout.machine import Wish
from windvane.rollout.run import Files

_FILE_ACTIONS: dict[str, Wish] = {
    "pause": "pause", "resume": "resume", "promote": "promote", "rollback": "rollback", "approve": "approve"
}  # fmt: skip
_EXIT = {"Succeeded": 0, "Failed": 1, "Invalid": 2}
_GOES_ON = 3
_SUFFIXES = (".yaml", ".yml", ".json")


class ReleaseName(click.ParamType[str]):
    """A file with a Canary, or the name of a release of the server."""

    name = "release"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names that the server has, and files."""
        server = ctx.params.get("server") or "http://127.0.0.1:9900"
        try:
            rows = answer(server, ctx.params.get("tenant"), "releases")["releases"]
        except (WindvaneError, KeyError):
            rows = []
        names = [f"{one['namespace']}/{one['name']}" for one in rows]
        names += [one["name"] for one in rows]
        return [*(CompletionItem(name) for name in names if name.startswith(incomplete)),
                CompletionItem(incomplete, type="file")]  # fmt: skip


_NAMED = click.argument("release", type=ReleaseName(), metavar="RELEASE|FILE")


@click.command("list")
@server_option
@output_option
def list_releases(server: str, tenant: str | None, output: str) -> None:
    """Tell which releases a server carries out, and where each is.

    Exit code 2 where a Canary cannot be carried out.
    """
    found = answer(server, tenant, "releases")
    if output == "json":
        print_json(found)
    else:
        if found["off"]:
            click.echo(found["off"], err=True)
        print_table(["release", "service", "versions", "phase", "weight", "verdict", "next look", ""],
                    map(_row, found["releases"]))  # fmt: skip
    sys.exit(2 if any(one["phase"] == "Invalid" for one in found["releases"]) else 0)


@click.command()
@_NAMED
@server_option
@output_option
def status(release: str, server: str, tenant: str | None, output: str) -> None:
    """Tell where a release is, what its verdict rests on and what happened.

    RELEASE is NAME or NAMESPACE/NAME of one that the server carries out, FILE one of `windvane canary run`.
    Exit code 0 promoted, 1 rolled back, 2 cannot be carried out, 3 goes on.
    """
    file = _file(release)
    if file is not None:
        state = Files(file, file).load()
        if output == "json":
            print_json(state.json())
            return
        click.echo(f"{state.phase}, {state.weight} %{f', waits for {state.waiting}' if state.waiting else ''}")
        if state.failed:
            click.echo(f"failed checks: {state.failed}")
        for check in state.checks:
            click.echo(f"{check.name}: {check.text}")
        _print_events(state.json()["events"])
        return
    found = answer(server, tenant, f"releases/{named(release, server, tenant)}")
    if output == "json":
        print_json(found)
    else:
        _print_release(found)
    sys.exit(_EXIT.get(found["phase"], _GOES_ON))


def steering(action: str, text: str) -> click.Command:
    """The command of one action."""

    @click.command(action, help=text)
    @_NAMED
    @server_option
    @output_option
    def command(release: str, server: str, tenant: str | None, output: str) -> None:
        file = _file(release)
        if file is not None:
            if action not in _FILE_ACTIONS:
                raise BadInputError(f"{action}: only of a release that a server carries out, not of a file")
            Files(file, file).ask(_FILE_ACTIONS[action])
            click.echo(f"{action}: taken up at the next look")
            return
        name = named(release, server, tenant)
        headers = {"Content-Type": "application/json"}
        found = answer(server, tenant, f"releases/{name}/{action}", content=b"{}", headers=headers)
        if output == "json":
            print_json(found)
        else:
            click.echo(f"{name}: {found['phase']}, {found['weight']} %")

    return command


def named(release: str, server: str, tenant: str | None) -> str:
    """NAMESPACE/NAME; the namespace is looked up where it is not given, `BadInputError` where there are several."""
    if "/" in release:
        return release
    rows = answer(server, tenant, "releases")
    found = [one["namespace"] for one in rows["releases"] if one["name"] == release]
    if not found:
        names = ", ".join(f"{one['namespace']}/{one['name']}" for one in rows["releases"])
        raise NotFoundError(rows["off"] or f"no release {release} (there is: {names or 'none'})")
    if len(found) > 1:
        raise BadInputError(f"release {release} is in namespaces {', '.join(found)}: name it NAMESPACE/NAME")
    return f"{found[0]}/{release}"


def _file(release: str) -> Path | None:
    file = Path(release)
    if file.is_file():
        return file
    if file.suffix in _SUFFIXES:
        raise BadInputError(f"{file}: no such file")
    return None


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    wrong = one["trouble"] or "; ".join(one["problems"])
    return (
        f"{one['namespace']}/{one['name']}", one["service"], f"{one['baseline']} → {one['canary']}",
        _phase(one), f"{one['weight']}%", one["verdict"] or "", _time(one["next_look"]), wrong,
    )  # fmt: skip


def _phase(one: Mapping[str, Any]) -> str:
    if one["waiting"]:
        return f"{one['phase']} ({one['waiting']})"
    return f"{one['phase']} (suspended)" if one["suspended"] else str(one["phase"])


def _print_release(found: Mapping[str, Any]) -> None:
    from windvane.cli.canary import print_verdict  # noqa: PLC0415  # it has this room's commands

    steps = ", ".join(map(str, found["steps"]))
    click.echo(f"{found['namespace']}/{found['name']}: {found['service']} {found['baseline']} → {found['canary']}")
    click.echo(f"{_phase(found)}, {found['weight']} % (steps {steps or 'none'}), next look {_time(found['next_look'])}")
    for wrong in [*found["problems"], *([found["trouble"]] if found["trouble"] else [])]:
        click.echo(f"problem: {wrong}")
    if found["failed"]:
        click.echo(f"failed checks: {found['failed']} of {found['threshold']}")
    for check in found["checks"]:
        click.echo(f"{check['name']}: {check['text']}")
    if found["judged"]:
        print_verdict(found["judged"])
    else:
        for reason in found["reasons"]:
            click.echo(f"no verdict: {reason}")
    _print_events(found["events"])


def _print_events(events: list[dict[str, Any]]) -> None:
    print_table(["time", "phase", "weight", "what"], (
        (_time(one["at"]), one["phase"], f"{one['weight']}%", one["text"]) for one in events
    ))  # fmt: skip


def _time(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


COMMANDS = (
    list_releases,
    status,
    steering("pause", "Hold a release at its weight; a regression still rolls it back."),
    steering("resume", "Let a paused release go on."),
    steering("promote", "Give the canary all traffic."),
    steering("rollback", "Give the baseline all traffic."),
    steering("approve", "Open the gate that a release waits at, once."),
    steering("restart", "Begin a release of a server anew that has ended."),
)
