"""Whether a scenario shows what it claims: a mesh is run, and its server asked until every claim is judged."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

import orjson

from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, UnavailableError
from windvane.kit.values import Address
from windvane.local import probes
from windvane.local.claims import Claim, Claims, Judged, Line, judged, judged_lines, most_different
from windvane.local.rundir import copy_scenario, scenario_claims
from windvane.local.up import Faces, LocalMesh, MeshOptions, Traffic

_POLL = 1.0
_PATIENCE = 15.0
_LINES = 2_000
_SERVER_DEFAULTS = MeshOptions((), Path()).server
_FAST_METRICS = ("--metrics-interval", "1s")

Report = Callable[[str, Mapping[str, object]], None]


class Ask(Protocol):
    """How a server is asked: JSON of the answer to a GET; UnavailableError or BadInputError when there is none."""

    async def __call__(self, path: str, **parameters: object) -> Any: ...


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """`within` is how many seconds of traffic there are at most for claims to come true."""

    scenario: str
    within: float = 60.0
    rate: float | None = None
    faces: Faces = field(default_factory=Faces)
    gateway: Address = Address("127.0.0.1", 8080)


async def verify(options: VerifyOptions, clock: Clock, report: Report) -> list[Judged]:
    """Run a scenario until all its claims hold, at most `within` seconds of traffic; what came of each, in order.

    BadInputError for an unknown scenario or one without claims; UnavailableError when the mesh does not come up.
    """
    claims = scenario_claims(options.scenario)
    with tempfile.TemporaryDirectory(prefix="windvane-verify-") as folder:
        mesh_dir, profile = copy_scenario(options.scenario, Path(folder))
        traffic = Traffic(options.rate or claims.rate, profile, day="none")
        given = MeshOptions(
            (mesh_dir,), Path(folder), options.faces, options.gateway, traffic=traffic,
            server=(*_SERVER_DEFAULTS, *_FAST_METRICS),
        )  # fmt: skip
        return await _judged_on(given, claims, options.within, clock, report)


async def _judged_on(given: MeshOptions, claims: Claims, within: float, clock: Clock, report: Report) -> list[Judged]:
    """Judge while a mesh runs; it is taken down in order afterwards."""
    stop, ready = asyncio.Event(), asyncio.Event()
    console: list[Address] = []

    def heard(event: str, fields: Mapping[str, object]) -> None:
        report(event, fields)
        if event == "ready" and "console" in fields:
            console.append(Address.parse(str(fields["console"]).removeprefix("http://").rstrip("/")))
            ready.set()

    running = asyncio.create_task(LocalMesh(given, clock, heard).run(stop))
    try:
        up = asyncio.create_task(ready.wait())
        await asyncio.wait((up, running), return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        if not console:
            await running
            raise UnavailableError("the mesh ended before it was up")
        return await settled(claims.claims, asking(console[0]), clock, within)
    finally:
        stop.set()
        await running


async def settled(claims: Sequence[Claim], ask: Ask, clock: Clock, within: float) -> list[Judged]:
    """Ask until every claim has held once, at most `within` seconds; what was seen last of each, in order.

    What has held is not asked again: more traffic proves nothing more.
    """
    deadline = clock.monotonic() + within
    found = {number: Judged(claim, "no answer", "too few") for number, claim in enumerate(claims)}
    while True:
        # A server that is busy (compiling its kernels, say) is asked again.
        with contextlib.suppress(UnavailableError):
            for number, claim in enumerate(claims):
                if found[number].verdict != "holds":
                    found[number] = await judge(claim, ask, clock)
        if all(each.verdict == "holds" for each in found.values()) or clock.monotonic() >= deadline:
            return list(found.values())
        await clock.sleep(_POLL)


async def judge(claim: Claim, ask: Ask, clock: Clock) -> Judged:
    """One claim as a server's telemetry has it now."""
    if claim.logs is not None:
        return judged_lines(claim, await _lines(ask, claim.logs))
    seen = None if claim.enough is None else await _number(ask, claim.enough.promql)
    if claim.promql is not None:
        return judged(claim, await _number(ask, claim.promql), seen)
    assert claim.most is not None
    return judged(claim, most_different(await _series(ask, claim.query, clock), claim.most), seen)


def asking(server: Address) -> Ask:
    """Ask a server over HTTP."""

    async def ask(path: str, **parameters: object) -> Any:
        answer = await probes.get(server.host, server.port, f"{path}?{urlencode(parameters)}", patience=_PATIENCE)
        if answer is None:
            raise UnavailableError(f"http://{server}: no answer within {_PATIENCE:g} s")
        if answer.status != 200:
            raise BadInputError(f"http://{server}{path}: {answer.status} {answer.body.decode(errors='replace')[:500]}")
        return orjson.loads(answer.body)

    return ask


async def _number(ask: Ask, query: str) -> float | None:
    """The sum of an instant query's values; None for an empty result."""
    data = (await ask("/api/v1/query", query=query))["data"]
    if data["resultType"] == "scalar":
        return float(data["result"][1])
    values = [float(each["value"][1]) for each in data["result"]]
    return sum(values) if values else None


async def _series(ask: Ask, query: str, clock: Clock) -> list[dict[str, str]]:
    """The labels of a TraceQL metrics query's series over the last hour, by their names without scope."""
    now = clock.now_ns() // 10**9
    answer = await ask("/tempo/api/metrics/query", q=query, start=now - 3_600, end=now + 60)
    return [
        {
            each["key"].partition(".")[2] or each["key"]: str(next(iter(each["value"].values())))
            for each in one["labels"]
        }
        for one in answer["series"]
    ]


async def _lines(ask: Ask, query: str) -> list[Line]:
    """The newest access-log entries that a query finds."""
    answer = await ask("/api/windvane/v1/logs", q=query, limit=_LINES)
    entries = (line["entry"] for line in answer["lines"] if line["entry"])
    return [
        Line(datetime.fromisoformat(each["timestamp"]).timestamp(), not 0 < each["response_code"] < 500)
        for each in entries
    ]
