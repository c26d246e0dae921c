"""Why a service is asked more, or less, than usual: followed up the calls to whoever began to ask otherwise.

A caller that is itself asked otherwise, by nearly the same factor, passes it on; the first that is not is the cause,
or, above the last known caller, demand from outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from windvane.analytics.accounts import Account, Node, Window, usual_rate
from windvane.analytics.causes import ODD, Reading
from windvane.analytics.mesh_series import Service
from windvane.analytics.seasonal import Floats

FACTOR = 2.0
"""A rate is followed from twice, or half, the usual on."""
PASSED_ON = 0.6
"""A caller whose own calls changed by this part of the factor (as logarithms) passes it on."""
_LATEST = 3
"""Minutes whose mean is "now"."""
_SIGMAS = 5.0


@dataclass(frozen=True, slots=True)
class Step:
    """A service, or a way to it, with its calls a minute; `share` of the symptom's change goes through it.

    `outside`: nothing is known above it. `began`: place of the first minute of the change.
    """

    node: Node
    usual: float
    now: float
    share: float
    departure: float
    confidence: float
    began: int
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Rate:
    """Calls a minute: usually, now, and whether that is out of the usual."""

    usual: float
    now: float
    departure: float
    began: int
    odd: bool

    @property
    def log_factor(self) -> float:
        """The logarithm of how many times the usual it is."""
        return float(np.log(max(self.now, self.usual / 100, 1e-9) / max(self.usual, 1e-9)))


def rate_of(account: Account, window: Window) -> Rate | None:
    """What an account's calls a minute are; None where nothing is known of what is usual."""
    usual = usual_rate(account, window)
    if usual <= 0:
        return None
    before = account.requests[window.first : window.clean]
    late = np.nan_to_num(account.requests[-_LATEST:])
    now = float(late.mean())
    reading = Reading.learnt(before, usual + abs(now - usual), 1.0, max(1.0, usual**0.5))
    departure = 0.0 if reading is None else reading.departure
    chance = _SIGMAS * (usual / len(late)) ** 0.5
    odd = departure >= ODD and abs(now - usual) > chance and not 1 / FACTOR < now / usual < FACTOR
    return Rate(usual, now, departure, _began(account.requests, window, usual, now), odd)


def _began(requests: Floats, window: Window, usual: float, now: float) -> int:
    """The first minute of the last run that is nearer to now than to the usual."""
    far = np.abs(np.nan_to_num(requests) - usual) > abs(now - usual) / 2
    place = len(requests) - 1
    while place > window.first and far[place - 1]:
        place -= 1
    return place


def followed_up(nodes: Mapping[Node, Account], service: Service, window: Window) -> list[Step] | None:
    """From the service up to where its changed demand comes from; None where it is asked as usual."""
    found = _asked(nodes, service, window)
    if found is None or not found.odd:
        return None
    certainty = 1.0 - 1.0 / (1.0 + found.departure / ODD)
    steps = [Step(Node(service), found.usual, found.now, 1.0, found.departure, certainty, found.began)]
    seen = {service}
    while True:
        top = steps[-1].node.service if steps[-1].node.caller is None else steps[-1].node.caller
        step = _caller(nodes, top, window, steps[-1])
        if step is None:
            steps[-1] = _outside(steps[-1])
            return steps
        steps.append(step)
        caller = step.node.caller
        above = None if caller is None or caller in seen else _asked(nodes, caller, window)
        if above is None:
            steps[-1] = _outside(step)
            return steps
        way = rate_of(nodes[step.node], window)
        if way is None or above.log_factor / (way.log_factor or 1.0) < PASSED_ON:
            return steps
        seen.add(caller or service)
        steps.append(Step(Node(caller or service), above.usual, above.now, step.share, above.departure,
                          step.confidence, above.began))  # fmt: skip


def _asked(nodes: Mapping[Node, Account], service: Service, window: Window) -> Rate | None:
    """A service's rate: as itself tells, or where that is less (what never arrived), as its callers do."""
    own = nodes.get(Node(service))
    ways = [one for node, one in nodes.items() if node.service == service and node.caller is not None]
    if not ways:
        return None if own is None else rate_of(own, window)
    sent = np.sum([np.nan_to_num(one.requests) for one in ways], axis=0)
    known = np.any([np.isfinite(one.requests) for one in ways], axis=0)
    rows = np.where(known, sent, np.nan) if own is None else np.fmax(np.where(known, sent, np.nan), own.requests)
    return rate_of(Account(rows, rows, rows), window)


def _caller(nodes: Mapping[Node, Account], service: Service, window: Window, below: Step) -> Step | None:
    """The way by which most of the change came."""
    change = below.now - below.usual
    best: tuple[float, Node, Rate] | None = None
    for node, account in nodes.items():
        if node.service != service or node.caller is None or node.caller == service:
            continue
        rate = rate_of(account, window)
        if rate is not None:
            part = (rate.now - rate.usual) / change
            if best is None or part > best[0]:
                best = (part, node, rate)
    if best is None or best[0] <= 0:
        return None
    part, node, rate = min(1.0, best[0]), best[1], best[2]
    return Step(node, rate.usual, rate.now, below.share * part, rate.departure, below.confidence * part, rate.began)


def _outside(step: Step) -> Step:
    return Step(step.node, step.usual, step.now, step.share, step.departure, step.confidence, step.began, outside=True)
