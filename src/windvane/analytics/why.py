"""Why a service shows what it shows: its calls as accounts of time and failures, ranked, with words for each cause.

Services and the ways between them are nodes alike: what a caller's proxy saw and the callee's did not belongs to
the way (network, connection, proxy), as does a call that never arrived.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from windvane.analytics.causes import Cause, Reading, at_its_worst, rank
from windvane.analytics.mesh_series import CallSeries, Service, name_of
from windvane.analytics.seasonal import Floats

Followed = Literal["errors", "latency"]
SIGNALS: tuple[Followed, ...] = ("errors", "latency")
WINDOW = 10
"""Minutes before the asked time in which the symptom is looked for."""
BEFORE = 60
"""Minutes before those that teach what is usual."""
LEAST_BEFORE = 10
LEAST_ERRORS = 0.005
"""Share of failures that is the least spread: one in two hundred is everyday in any mesh."""
LEAST_CONFIDENCE = 0.05


@dataclass(frozen=True, slots=True)
class Node:
    """A service, or (with a caller) the way from that caller to it."""

    service: Service
    caller: Service | None = None

    @property
    def name(self) -> str:
        return name_of(self.service) if self.caller is None else f"{name_of(self.caller)} → {name_of(self.service)}"


@dataclass(frozen=True, slots=True)
class Told:
    """A cause with its figures: usual and present value (milliseconds a call, or share failed) and calls a minute."""

    node: Node
    cause: Cause
    usual: float
    now: float
    calls: float
    path: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """Which signal of the service was followed, since when, and its causes; no signal where all is as usual."""

    service: Service
    signal: Followed | None
    since: int | None
    causes: tuple[Told, ...]
    notes: tuple[str, ...]


def why(times: np.ndarray[tuple[int], np.dtype[np.int64]], calls: Iterable[CallSeries], service: Service,
        signal: Followed | None = None) -> Answer:  # fmt: skip
    """Causes of what a service shows in the last `WINDOW` minutes of these times, compared with those before."""
    nodes = _nodes(list(calls))
    if len(times) < WINDOW + LEAST_BEFORE:
        return Answer(
            service, None, None, (), (f"{len(times)} minutes are too few: {WINDOW + LEAST_BEFORE} are needed",)
        )
    answers = [_followed(times, nodes, service, one) for one in ((signal,) if signal else SIGNALS)]
    told = [answer for answer in answers if answer.causes]
    if told:
        return max(told, key=lambda answer: max(one.cause.departure for one in answer.causes))
    return Answer(service, None, None, (), ("nothing about its answers is out of the usual",))


@dataclass(slots=True)
class _Account:
    requests: Floats
    errors: Floats
    milliseconds: Floats

    def of(self, signal: Followed) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(
                self.requests > 0, (self.errors if signal == "errors" else self.milliseconds) / self.requests, np.nan
            )


def _nodes(calls: list[CallSeries]) -> dict[Node, _Account]:
    found: dict[Node, _Account] = {}
    for one in calls:
        node = Node(one.callee) if one.reporter == "destination" else Node(one.callee, one.caller)
        account = found.get(node)
        if account is None:
            found[node] = _Account(one.requests.copy(), one.errors.copy(), one.milliseconds.copy())
            continue
        for name in _Account.__slots__:
            mine, more = getattr(account, name), getattr(one, name)
            setattr(
                account,
                name,
                np.where(np.isfinite(mine) | np.isfinite(more), np.nan_to_num(mine) + np.nan_to_num(more), np.nan),
            )
    return found


def _followed(times: np.ndarray[tuple[int], np.dtype[np.int64]], nodes: Mapping[Node, _Account], service: Service,
              signal: Followed) -> Answer:  # fmt: skip
    split = len(times) - WINDOW
    nothing = Answer(service, signal, None, (), ())
    symptom = _symptom(nodes, service, signal, split)
    if symptom is None:
        return nothing
    now = nodes[symptom].of(signal)
    level = _level(now[:split])
    worst = at_its_worst(now[split:], level)
    readings = {
        node: found for node, one in nodes.items() if (found := _reading(one, signal, split, worst)) is not None
    }
    if symptom not in readings or readings[symptom].departure < 3.0:
        return nothing
    edges, shares = _edges(nodes, split, worst)
    ranked = rank(symptom.name, {node.name: one for node, one in readings.items()}, edges, shares)
    by_name = {node.name: node for node in nodes}
    told = [
        Told(by_name[one.node], one, readings[by_name[one.node]].level, readings[by_name[one.node]].now,
             readings[by_name[one.node]].calls, tuple(by_name[name] for name in one.path))
        for one in ranked if one.confidence >= LEAST_CONFIDENCE
    ]  # fmt: skip
    return Answer(service, signal, int(times[split:][worst][0]), tuple(told), ())


def _symptom(nodes: Mapping[Node, _Account], service: Service, signal: Followed, split: int) -> Node | None:
    """The service as its own proxy sees it, or the way to it that departs most: whichever departs more."""
    best: tuple[float, Node] | None = None
    for node, account in nodes.items():
        if node.service != service:
            continue
        values = account.of(signal)
        worst = at_its_worst(values[split:], _level(values[:split]))
        reading = _reading(account, signal, split, worst)
        if reading is not None and (best is None or reading.excess > best[0]):
            best = (reading.excess, node)
    return None if best is None else best[1]


def _level(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else 0.0


def _reading(
    account: _Account, signal: Followed, split: int, worst: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> Reading | None:
    before, requests = account.of(signal)[:split], account.requests[split:][worst]
    total = float(np.nansum(requests))
    if total <= 0 or np.isfinite(before).sum() < LEAST_BEFORE:
        return None
    row = account.errors if signal == "errors" else account.milliseconds
    now = float(np.nansum(row[split:][worst])) / total
    floor = max(LEAST_ERRORS, (LEAST_ERRORS / total) ** 0.5) if signal == "errors" else 0.5
    return Reading.learnt(before, now, total / max(1, int(worst.sum())), floor)


def _edges(
    nodes: Mapping[Node, _Account], split: int, worst: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> tuple[list[tuple[str, str]], dict[tuple[str, str], float]]:
    """Service to way to service; and what share of a service's calls came each way."""
    edges, shares = [], {}
    for node, account in nodes.items():
        if node.caller is None:
            continue
        edges += [(name_of(node.caller), node.name), (node.name, name_of(node.service))]
        own = nodes.get(Node(node.service))
        if own is not None:
            all_ = float(np.nansum(own.requests[split:][worst]))
            share = float(np.nansum(account.requests[split:][worst])) / all_ if all_ > 0 else 0.0
            shares[node.name, name_of(node.service)] = min(1.0, share)
    return edges, shares


def words(told: Told, signal: Followed, flags: Mapping[str, float]) -> str:
    """One cause in a sentence of plain words."""
    share = f"explains {told.cause.explains:.0%} of it"
    if signal == "latency":
        change = f"{told.usual:.3g} ms a call usually, {told.now:.3g} ms now"
    else:
        change = f"{told.usual:.2%} of calls failed usually, {told.now:.2%} now"
    if told.node.caller is None:
        return f"{told.node.name} itself: {change}; {share}"
    seen = f" (flags {', '.join(sorted(flags, key=lambda flag: -flags[flag]))})" if flags else ""
    ends = f"{name_of(told.node.caller)} and {name_of(told.node.service)}"
    return f"between {ends}: {change} as the caller sees it{seen}; {share}"
