"""A release for the demo: `--canary good|bad|slow[@SERVICE][,after=60s][,share=2%][,by=2]`.

The scenario's copy gets a second version of a service, a split by weight that sends it nothing yet, and after a while
a Canary: the server carries it out. How good the new version is only its application knows (`emulator.trouble`), as
with faults: `share` of the requests fail in both versions, so that there is something to compare, and `by` times as
many in a bad one; a slow one answers later.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError
from windvane.kit.values import Address, parse_duration
from windvane.local import probes
from windvane.local.edits import write_edits
from windvane.local.faults import Fault
from windvane.mesh.authoring import canary as split
from windvane.mesh.drafts import draft
from windvane.mesh.files import FileSource
from windvane.mesh.merging import live_shares, merged
from windvane.mesh.view import MeshService, MeshView
from windvane.mesh.written import Written
from windvane.mesh.yaml_text import as_yaml

FILE = "canary.yaml"
OUTCOMES = ("good", "bad", "slow")
_SERVICE = "recommendation"
_MARK = "windvane.dev/canary"
_SLOWER_SECONDS = 0.02
_EVERY = 5.0
_FOR_EVER = 10 * 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class Trial:
    """A release of the demo. `after` in seconds since the mesh was ready; `share` of requests fail in every version,
    `by` times as many in a bad one.
    """

    outcome: str
    service: str = _SERVICE
    after: float = 60.0
    share: float = 0.02
    by: float = 2.0
    namespace: str = ""
    baseline: str = ""
    canary: str = ""
    workloads: tuple[str, str] = ("", "")

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is wrong with the applications of both versions, from the beginning."""
        base, new = self.workloads
        usual = [Fault("errors", key, 0.0, _FOR_EVER, share=self.share) for key in (base, new)]
        if self.outcome == "bad":
            usual.append(Fault("errors", new, 0.0, _FOR_EVER, share=self.share * (self.by - 1)))
        if self.outcome == "slow":
            usual.append(Fault("latency", new, 0.0, _FOR_EVER, by=_SLOWER_SECONDS))
        return tuple(usual)

    @property
    def label(self) -> dict[str, object]:
        """What is written down of it beside faults."""
        return {"kind": f"{self.outcome}-canary", "target": f"{self.service}.{self.namespace}"}

    @property
    def text(self) -> str:
        """The Canary, as a file has it."""
        return f"""\
# A release of {self.service}: the server raises the weight of {self.canary} step by step while nothing is proven
# against it, and sets it back to 0 when something is. Watch it at /insights/releases.
apiVersion: windvane.dev/v1alpha1
kind: Canary
metadata:
  name: {self.service}
  namespace: {self.namespace}
spec:
  service: {{name: {self.service}}}
  baseline: {self.baseline}
  canary: {self.canary}
  progressDeadlineSeconds: 3600
  analysis:
    interval: 15s
    stepWeights: [5, 20, 50]
    hold: 2m
"""


def parse_canary(text: str) -> Trial:
    """Read `good|bad|slow[@SERVICE][,after=60s][,share=2%][,by=2]`; BadInputError says what is wrong."""
    head, *rest = text.split(",")
    outcome, _, service = head.partition("@")
    if outcome not in OUTCOMES:
        raise BadInputError(f"--canary {text}: expected one of {', '.join(OUTCOMES)}, then @SERVICE and settings")
    trial = Trial(outcome, service or _SERVICE)
    for part in rest:
        name, _, value = part.partition("=")
        try:
            trial = _with(trial, name, value)
        except (BadInputError, ValueError) as error:
            raise BadInputError(f"--canary {text}: {name}: {error}") from None
    if not 0 < trial.share * trial.by <= 1 or trial.by < 1:
        raise BadInputError(f"--canary {text}: share times by must lie between 0 and 1, and by be 1 at least")
    return trial


def _with(trial: Trial, name: str, value: str) -> Trial:
    if name == "after":
        return replace(trial, after=parse_duration(value))
    if name == "share":
        return replace(trial, share=float(value[:-1]) / 100 if value.endswith("%") else float(value))
    if name == "by":
        return replace(trial, by=float(value))
    raise BadInputError("unknown (there is after, share, by)")


def prepared(trial: Trial, folder: Path) -> Trial:
    """The trial with its names, after the folder was given the new version and a split that sends it nothing.

    The Canary of an earlier run is taken away. BadInputError where the service cannot have a second version.
    """
    (folder / FILE).unlink(missing_ok=True)
    source = FileSource([folder], implied_gateways=True)
    result = source.load()
    if result.view is None:
        raise BadInputError(f"--canary: {folder} is not a valid mesh")
    service, written = _service(result.view, trial.service), source.written()
    base, new = _versions(service, result.view, written)
    shares = live_shares(service.name, service.namespace, written) or {base.version: 100}
    whole = shares.get(base.version, 0) + shares.get(new.version, 0)
    shares |= {base.version: whole, new.version: 0}
    made = merged(split(service.name, service.namespace, shares, label="version", port=None), "canary", written)
    if new.resource is not None:
        made = [new.resource, *made]
    texts = source.texts()
    live = {one.key: one for one in written}
    drafted = draft([_written(one, live) for one in made], written, texts, [folder], "canary-versions")
    write_edits(drafted.edits, [folder])
    return replace(
        trial, service=service.name, namespace=service.namespace, baseline=base.version, canary=new.version,
        workloads=(base.key, new.key),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Version:
    key: str
    version: str
    resource: dict[str, Any] | None = None


def _service(view: MeshView, wanted: str) -> MeshService:
    for service in view.services.values():
        if wanted in (service.name, f"{service.name}.{service.namespace}") and service.workloads:
            return service
    names = sorted({one.name for one in view.services.values() if one.workloads})
    raise BadInputError(f"--canary @{wanted}: no such service (there is {', '.join(names)})")


def _versions(service: MeshService, view: MeshView, written: tuple[Written, ...]) -> tuple[_Version, _Version]:
    """The version that serves now, and the new one: that of an earlier run, or a copy of the first."""
    entries = {
        f"{one.name}.{one.namespace}": one
        for one in written
        if one.kind == "WorkloadEntry" and f"{one.name}.{one.namespace}" in service.workloads
    }
    made = {key: one for key, one in entries.items() if _MARK in (one.value["metadata"].get("annotations") or {})}
    known = {key: view.workloads[key].labels.get("version", "") for key in service.workloads}
    first = next((key for key in entries if key not in made and known[key]), None)
    if first is None:
        raise BadInputError(f"--canary @{service.name}: it has no WorkloadEntry with a label version to be copied")
    base = _Version(first, known[first])
    for key in made:
        return base, _Version(key, known[key])
    number = next(number for number in range(2, 1_000) if f"v{number}" not in known.values())
    resource = copy.deepcopy(entries[first].value)
    name, version = resource["metadata"]["name"], f"v{number}"
    stem = name.removesuffix(f"-{base.version}")
    resource["metadata"]["name"] = f"{stem}-{version}"
    resource["metadata"].setdefault("annotations", {})[_MARK] = "demo"
    for labels in (resource["metadata"].get("labels"), resource["spec"].get("labels")):
        if labels and "version" in labels:
            labels["version"] = version
    return base, _Version(f"{stem}-{version}.{service.namespace}", version, resource)


def _written(resource: dict[str, Any], live: Mapping[tuple[str, str, str], Written]) -> Written:
    key = (resource["kind"], resource["metadata"]["namespace"], resource["metadata"]["name"])
    there = live.get(key)
    text = as_yaml(resource, like=there.text if there else "")
    if there is not None and there.value == resource:
        text = there.text
    return Written(*key, "", 1, text, "", True, resource)


async def released(
    trial: Trial, folder: Path, server: Address, clock: Clock, tell: Callable[[str, Mapping[str, object]], None]
) -> None:
    """Put the Canary into the folder when its time has come, and tell what the server does with it until its end.

    `tell(state, fields)` is told `began` and `ended`, and between them `step` with every event.
    """
    await clock.sleep(trial.after)
    (folder / FILE).write_text(trial.text, encoding="utf-8")
    tell("began", trial.label)
    async for event in _events(trial, server, clock):
        tell("step", {**trial.label, **event})
        if event["phase"] in ("Succeeded", "Failed"):
            tell("ended", {**trial.label, "outcome": event["phase"]})
            return


async def _events(trial: Trial, server: Address, clock: Clock) -> AsyncIterator[dict[str, Any]]:
    path, seen = f"/api/windvane/v1/releases/{trial.namespace}/{trial.service}", 0
    while True:
        await clock.sleep(_EVERY)
        answer = await probes.get(server.host, server.port, path, patience=30)
        events: list[dict[str, Any]] = []
        with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError):
            if answer is not None and answer.status == 200:
                events = orjson.loads(answer.body)["events"]
        for event in events[seen:]:
            yield event
        seen = max(seen, len(events))
        await asyncio.sleep(0)
