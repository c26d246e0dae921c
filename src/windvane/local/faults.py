"""Faults that a local mesh does to itself, on a schedule: `--fault KIND@SERVICE[,after=60s][,for=3m]…`.

They are no configuration of Istio's: applications misbehave (`emulator.trouble`), or the network before their
sidecars does (`emulator.relay`). When each began and ended is written down (`faults.jsonl`), so that what
detected it can be judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError
from windvane.kit.shares import parse_share
from windvane.kit.values import parse_duration
from windvane.local.applications import RUN
from windvane.local.emulator.plan import EmulatedWorkload
from windvane.local.emulator.trouble import NO_TROUBLE, Trouble
from windvane.mesh.view import MeshView

NETWORK = "network-delay"
RETRY_STORM = "retry-storm"
_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: what it does, and how strongly unless told (`by` in seconds, `share` from 0 to 1)."""

    does: str
    by: float = 0.0
    share: float = 0.0


KINDS: Mapping[str, Kind] = {
    "latency": Kind("answers come later (by: the median)", by=0.4),
    "errors": Kind("a share of the requests fails with 500", share=0.3),
    "outage": Kind("nothing listens"),
    RETRY_STORM: Kind(f"a share of the requests fails, and callers try each up to {_REPEATS} times more", share=0.6),
    "slow-burn": Kind("a small share of the requests fails, for long", share=0.01),
    NETWORK: Kind("a round trip to its sidecars takes longer (by)", by=0.2),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; times in seconds since the mesh was ready. `every`: it comes again so often (0: once)."""

    kind: str
    target: str
    after: float = 60.0
    duration: float = 300.0
    every: float = 0.0
    by: float = 0.0
    share: float = 0.0

    def active(self, at: float) -> bool:
        """Whether it is on at a time."""
        since = at - self.after
        return since >= 0 and (since % self.every if self.every else since) < self.duration

    def next_change(self, at: float) -> float | None:
        """When it begins or ends next after a time, or None when it never does."""
        since = at - self.after
        if since < 0:
            return self.after
        round_began = since // self.every * self.every if self.every else 0.0
        if since - round_began < self.duration:
            return self.after + round_began + self.duration
        return self.after + round_began + self.every if self.every else None

    @property
    def trouble(self) -> Trouble:
        """What it does to the applications that it is aimed at."""
        return Trouble(
            delay=self.by if self.kind == "latency" else 0.0,
            errors=self.share,
            down=self.kind == "outage",
            network=self.by if self.kind == NETWORK else 0.0,
        )


def parse_fault(text: str) -> Fault:
    """Read `KIND@SERVICE[,after=60s][,for=3m][,every=10m][,by=300ms][,share=30%]`; BadInputError says what is wrong."""
    head, *rest = text.split(",")
    kind, at, target = head.partition("@")
    if kind not in KINDS or not at or not target:
        raise BadInputError(f"--fault {text}: expected KIND@SERVICE, with a kind of {', '.join(KINDS)}")
    fault = Fault(kind, target, by=KINDS[kind].by, share=KINDS[kind].share)
    for part in rest:
        fault = _with(fault, text, *part.partition("=")[::2])
    if fault.every and fault.every <= fault.duration:
        raise BadInputError(f"--fault {text}: every must be longer than for ({fault.duration:g}s)")
    return fault


def _with(fault: Fault, text: str, name: str, value: str) -> Fault:
    fields = {"after": "after", "for": "duration", "every": "every"}
    if KINDS[fault.kind].by:
        fields["by"] = "by"
    if KINDS[fault.kind].share:
        fields["share"] = "share"
    if name not in fields:
        raise BadInputError(f"--fault {text}: unknown {name!r} (kind {fault.kind} takes {', '.join(fields)})")
    try:
        number = parse_share(value) if name == "share" else parse_duration(value)
    except BadInputError as error:
        raise BadInputError(f"--fault {text}: {name}: {error}") from None
    if number <= 0 and name != "after":
        raise BadInputError(f"--fault {text}: {name} must be more than nothing")
    changed: dict[str, Any] = {fields[name]: number}
    return replace(fault, **changed)


def aimed_at(fault: Fault, view: MeshView) -> frozenset[str]:
    """Keys of the workloads that a fault is aimed at: those of a service, or one workload.

    Names with or without namespace. BadInputError where there is no such service or workload.
    """
    wanted = fault.target
    for service in view.services.values():
        if wanted in (service.name, f"{service.name}.{service.namespace}", service.hostname) and service.workloads:
            return frozenset(service.workloads)
    found = frozenset(w.key for w in view.workloads.values() if wanted in (w.name, w.key))
    if not found:
        names = sorted({service.name for service in view.services.values() if service.workloads})
        raise BadInputError(f"--fault {fault.kind}@{wanted}: no such service or workload (there is {', '.join(names)})")
    return found


def check_faults(faults: Iterable[Fault], view: MeshView) -> None:
    """BadInputError for a fault that is aimed at nothing, or at an application that is not emulated."""
    for fault in faults:
        for key in sorted(aimed_at(fault, view)):
            if RUN in view.workloads[key].annotations:
                raise BadInputError(
                    f"--fault {fault.kind}@{fault.target}: {key} is not emulated: it runs a command ({RUN})"
                )


def relayed(faults: Iterable[Fault], view: MeshView) -> frozenset[str]:
    """Workloads that others must reach through relays, now or later."""
    return frozenset().union(*(aimed_at(fault, view) for fault in faults if fault.kind == NETWORK))


def troubled(
    workloads: Mapping[str, EmulatedWorkload], faults: Iterable[Fault], view: MeshView
) -> dict[str, EmulatedWorkload]:
    """The emulated workloads with the trouble that active faults make; a fault whose target is gone does nothing."""
    troubles: dict[str, list[Trouble]] = {}
    for fault in faults:
        try:
            keys = aimed_at(fault, view)
        except BadInputError:
            continue
        for key in keys:
            troubles.setdefault(key, []).append(fault.trouble)
        if fault.kind == RETRY_STORM:
            storm = Trouble(repeats=_REPEATS, repeated=_hosts(view, keys))
            for key in workloads.keys() - keys:
                troubles.setdefault(key, []).append(storm)
    return {
        key: replace(workload, trouble=reduce(add, troubles.get(key, []), NO_TROUBLE))
        for key, workload in workloads.items()
    }


def _hosts(view: MeshView, keys: frozenset[str]) -> tuple[str, ...]:
    """How callers may name the services of workloads."""
    services = [service for service in view.services.values() if keys & set(service.workloads)]
    names = {name for s in services for name in (s.name, f"{s.name}.{s.namespace}", s.hostname)}
    return tuple(sorted(names))


async def follow(faults: Sequence[Fault], clock: Clock, tell: Callable[[tuple[Fault, ...]], None]) -> None:
    """Tell which faults are on, now and whenever that changes, until it does no more; now is when they count from."""
    began = clock.monotonic()
    on: tuple[Fault, ...] = ()
    while True:
        at = clock.monotonic() - began
        active = tuple(fault for fault in faults if fault.active(at))
        if active != on:
            on = active
            tell(active)
        changes = [change for fault in faults if (change := fault.next_change(at)) is not None]
        if not changes:
            return
        await clock.sleep(max(0.0, min(changes) - at))
