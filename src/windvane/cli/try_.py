"""`windvane try`: a request through real Envoys that have the configuration, and what became of it."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from windvane.cli.mesh_files import load_view, mesh_files
from windvane.cli.output import output_option, print_json, print_table
from windvane.kit.clock import SystemClock
from windvane.local.trial.asking import Asked, parse_request, with_client
from windvane.local.trial.mesh import running
from windvane.local.trial.outcome import Outcome, outcomes
from windvane.local.trial.sending import ask
from windvane.local.trial.tokens import Issuer, parse_claims
from windvane.mesh.view import MeshView


@click.command("try")
@mesh_files
@click.option(
    "--request",
    "-r",
    "request",
    required=True,
    metavar="'GET http://HOST:PORT/PATH'",
    help="What is asked; also grpc://HOST:PORT/package.Service/Method and tcp://HOST:PORT.",
)
@click.option("--header", "-H", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header; can be repeated.")
@click.option(
    "--from",
    "asker",
    default="",
    metavar="NAME.NAMESPACE",
    help="The workload or gateway that asks  [default: one that no policy knows; for other hosts a gateway]",
)
@click.option("--body", type=click.Path(path_type=Path, exists=True, dir_okay=False), default=None,
              help="A file to send as the body.")  # fmt: skip
@click.option("--jwt", "claims", default="", metavar="CLAIMS",
              help="Send a token with these claims (JSON), signed by a key that is made trusted.")  # fmt: skip
@click.option("--certificate", default="", metavar="NAMESPACE/NAME",
              help="The Secret whose certificate an https client shows.")  # fmt: skip
@click.option("--n", "-c", "times", type=click.IntRange(1, 100_000), default=1, show_default=True,
              help="So many requests; shares come with their 95 % intervals.")  # fmt: skip
@output_option
def command(**given: Any) -> None:
    """Send a request through real Envoys with the configuration of Istio YAML, and tell what became of it.

    The sidecar of whoever asks and those of all workloads that may answer are started on this machine, with
    an application that echoes behind each. Nothing leaves the machine; nothing is left running.

    Exit code 1 when a request got no answer.
    """
    body = given["body"].read_bytes() if given["body"] else b""
    asked = parse_request(given["request"], given["headers"], body)
    asked = dataclasses.replace(asked, certificate=given["certificate"])
    view = load_view(given["paths"], given["namespace"], given["root_namespace"], given["mesh_config"])
    view, client = with_client(view, asked, given["asker"])
    if given["claims"]:
        issuer, claims = Issuer(), parse_claims(given["claims"])
        token = ("authorization", f"Bearer {issuer.token(view, claims)}")
        view, asked = issuer.trusted(view), dataclasses.replace(asked, headers=(*asked.headers, token))
    found = asyncio.run(_tried(view, client, asked, given["times"]))
    if given["output"] == "json":
        print_json({"from": client, "requests": given["times"], "outcomes": [dataclasses.asdict(one) for one in found]})
    else:
        _print(client, asked, found)
    sys.exit(1 if not all(one.answered for one in found) else 0)


async def _tried(view: MeshView, client: str, asked: Asked, times: int) -> list[Outcome]:
    async with running(view, [(client, asked)], SystemClock()) as mesh:
        return outcomes(asked, await ask(mesh, client, asked, times))


def _print(client: str, asked: Asked, found: Sequence[Outcome]) -> None:
    click.echo(f"{asked} from {client}\n")
    many = sum(one.count for one in found) > 1
    rows = [
        (
            one.workload or "-", _status(one, asked), one.count, f"{one.share:.1%}",
            f"{one.low:.1%} – {one.high:.1%}" if many else "", f"{one.median_ms:.1f}",
            one.route or "-", one.flags or "-",
        )
        for one in found
    ]  # fmt: skip
    print_table(("answered by", "status", "requests", "share", "95 %", "median ms", "route", "flags"), rows)
    for one in found:
        click.echo("")
        for line in _described(asked, one):
            click.echo(line)


def _described(asked: Asked, one: Outcome) -> list[str]:
    """What is worth telling of an outcome beyond its row."""
    told = {
        "": f"{one.workload or 'no workload'}, {_status(one, asked)}",
        "cluster": one.cluster,
        "details": "" if one.details == "via_upstream" else one.details,
        "rule": one.rule,
        "refused by": one.refused_by,
        "audited": "a policy with action AUDIT matched" if one.audited else "",
        "allowed by": one.allowed_by,
        "dry run": ", ".join(one.dry_run),
        "failure": one.failure,
        "attempts": str(one.attempts) if one.attempts > 1 else "",
        "path": one.path if one.path not in ("", asked.path) else "",
        "authority": one.authority if one.authority not in ("", asked.authority) else "",
        "mirrored to": ", ".join(one.mirrored_to),
        "identity": one.mutual_tls or ("plaintext" if one.workload else ""),
        **{f"headers {kind}": _shown(value) for kind, value in one.request_headers.items()},
        "response": _shown(one.response_headers),
    }
    return [f"  {name:<16}{value}" if name else value for name, value in told.items() if value]


def _status(one: Outcome, asked: Asked) -> str:
    """HTTP's status, with gRPC's where there is one; whether a connection was answered."""
    if one.failure:
        return "no answer"
    if asked.kind == "tcp":
        return "answered"
    return f"{one.status}, grpc {one.grpc_status}" if one.grpc_status else str(one.status)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {text}" for name, text in value.items())
    return ", ".join(value)
