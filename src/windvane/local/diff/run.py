"""Distinct requests asked of one configuration, on real Envoys, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, WindvaneError
from windvane.local.diff.configured import Configured, configured
from windvane.local.diff.distinct import Distinct
from windvane.local.placement import imagined_placement
from windvane.local.trial.asking import Asked, onwards
from windvane.local.trial.authorizer import authorizers, workloads_of
from windvane.local.trial.mesh import MOST_SIDECARS, TrialMesh, running
from windvane.local.trial.outcome import Outcome, outcomes
from windvane.local.trial.sending import AT_ONCE, Errand, Followed, send
from windvane.mesh.view import MeshView
from windvane.xds.snapshot import MeshSettings, Snapshot

_AT_A_TIME = 500
_ROOM = 200
"""Workloads that can be given addresses of their own, with something to spare."""
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request under one configuration: the ways that it took, and what the configuration says of its
    route. `refused` says why it could not be asked at all."""

    ways: tuple[Outcome, ...] = ()
    configured: Configured = field(default_factory=Configured)
    refused: str = ""


async def answers(
    view: MeshView, requests: Sequence[Distinct], times: int, clock: Clock, progress: Progress
) -> list[Answer]:
    """For every request what became of it; those whose way is left to chance are sent `times` times."""
    found: dict[int, Answer] = {}
    for batch in _batches(view, requests, found):
        progress(0)
        async with running(_needed(view, batch), [(each.client, each.asked) for _, each in batch], clock) as mesh:
            for start in range(0, len(batch), _AT_A_TIME):
                part = batch[start : start + _AT_A_TIME]
                asked = await _asked(mesh, [each for _, each in part], times)
                found |= {index: answer for (index, _), answer in zip(part, asked, strict=True)}
                progress(len(part))
    return [found[index] for index in range(len(requests))]


def _batches(
    view: MeshView, requests: Sequence[Distinct], refused: dict[int, Answer]
) -> Iterator[list[tuple[int, Distinct]]]:
    """Requests that so many sidecars are enough for, with their indices; those that cannot be asked are answered."""
    snapshot = Snapshot(view, imagined_placement(view), MeshSettings())
    batch: list[tuple[int, Distinct]] = []
    needed: set[str] = set()
    for index, each in enumerate(requests):
        try:
            mine = {each.client, *_reached(snapshot, each)}
        except WindvaneError as error:
            refused[index] = Answer(refused=error.message)
            continue
        if batch and len(needed | mine) > MOST_SIDECARS:
            yield batch
            batch, needed = [], set()
        batch.append((index, each))
        needed |= mine
    if batch:
        yield batch


def _needed(view: MeshView, batch: Sequence[tuple[int, Distinct]]) -> MeshView:
    """The view; of a mesh that has no room on one machine, with the workloads that these requests can touch."""
    if len(view.workloads) <= _ROOM:
        return view
    snapshot = Snapshot(view, imagined_placement(view), MeshSettings())
    keys = {key for _, each in batch for key in (each.client, *_reached(snapshot, each))}
    keys |= workloads_of(authorizers(view))
    return replace(view, workloads={key: item for key, item in view.workloads.items() if key in keys})


def _reached(snapshot: Snapshot, each: Distinct) -> list[str]:
    proxy = snapshot.proxy(each.client)
    if proxy is None:
        raise BadInputError(f"no proxy of {each.client}")
    if proxy.role == "router" and not proxy.place.inbound:
        raise BadInputError(f"the gateway {each.client} has no ports")
    if proxy.role == "router" and each.asked.has_port and each.asked.port not in proxy.place.inbound:
        raise BadInputError(f"the gateway {each.client} has no port {each.asked.port}")
    return onwards(proxy, snapshot, each.asked)


async def _asked(mesh: TrialMesh, requests: Sequence[Distinct], times: int) -> list[Answer]:
    """Each once, then again those that chance has a part in."""
    at_once = 1 if _limited(mesh.snapshot.view) else AT_ONCE
    followed = await send(mesh, [Errand(each.client, each.asked) for each in requests], at_once)
    said = [
        configured(mesh.proxy(each.client), mesh.snapshot, each.asked, first[0])
        for each, first in zip(requests, followed, strict=True)
    ]
    again = [index for index, one in enumerate(said) if one.varies and times > 1]
    more = (
        await send(mesh, [Errand(requests[i].client, requests[i].asked, times - 1) for i in again], at_once)
        if again
        else []
    )
    for index, others in zip(again, more, strict=True):
        followed[index] = [*followed[index], *others]
    return [_answer(each.asked, one, ways) for each, one, ways in zip(requests, said, followed, strict=True)]


def _answer(asked: Asked, said: Configured, followed: Sequence[Followed]) -> Answer:
    return Answer(tuple(outcomes(asked, followed)), said)


def _limited(view: MeshView) -> bool:
    """Whether anything bounds connections or requests: they are then sent one by one, as none would be refused for."""
    return any(
        policy is not None and policy.connection_pool is not None
        for rule in view.destination_rules
        for policy in (rule.spec.traffic_policy, *(subset.traffic_policy for subset in rule.spec.subsets))
    )
