"""Why a service shows what it shows: its calls as accounts of time and failures, ranked, with words for each cause.

Services and the ways between them are nodes alike: what a caller's proxy saw and the callee's did not belongs to
the way (network, connection, proxy), as does a call that never arrived.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from windvane.analytics.accounts import Account, Node, Window, accounts, total, usual_rate
from windvane.analytics.causes import ODD, Cause, Reading, at_its_worst, rank
from windvane.analytics.demand import followed_up
from windvane.analytics.mesh_series import CallSeries, Service, name_of
from windvane.analytics.seasonal import Floats

Followed = Literal["errors", "latency", "rate"]
SIGNALS: tuple[Followed, ...] = ("errors", "latency", "rate")
Kind = Literal["service", "way", "unreachable", "caller", "demand"]
Times = np.ndarray[tuple[int], np.dtype[np.int64]]
WINDOW = 10
"""Minutes before the asked time in which the symptom is looked for."""
BEFORE = 60
"""Minutes before those that teach what is usual."""
LEAST_BEFORE = 5
LEAST_WINDOW = 2
LEAST_ERRORS = 0.001
"""Share of failures that is the least spread."""
LEAST_CONFIDENCE = 0.05
NEARBY = 3
FAILURES = 3
"""Fewer failed calls are no symptom."""
CHANCE = 1e-4
"""A symptom of errors is one that so many failures, were they as usual, would not make in ten minutes."""
ALIVE, STILL_ASKED = 0.1, 0.3
"""A service is unreachable where it sees less than this share of its usual calls, while callers make that share."""


@dataclass(frozen=True, slots=True)
class Told:
    """A cause with its figures: usual and present value (milliseconds a call, share failed, or calls a minute)."""

    node: Node
    cause: Cause
    usual: float
    now: float
    calls: float
    path: tuple[Node, ...]
    kind: Kind = "service"
    signal: Followed = "errors"
    """What the figures are of: where an answer goes on along another signal (timeouts, say), not the symptom's."""

    @property
    def weight(self) -> float:
        """What it explains, less where it is barely odd: causes are ranked by it."""
        return self.cause.explains * (1.0 - 1.0 / (1.0 + max(0.0, self.cause.departure) / ODD))


@dataclass(frozen=True, slots=True)
class Answer:
    """Which signal of the service was followed, since when, and its causes; no signal where all is as usual.

    `since` is the first minute at its worst, `began` the first of the run of bad minutes that leads to it, `figures`
    the service's own usual and present value.
    """

    service: Service
    signal: Followed | None
    since: int | None
    causes: tuple[Told, ...]
    notes: tuple[str, ...]
    began: int | None = None
    figures: tuple[float, float] = (0.0, 0.0)
    nearby: tuple[Told, ...] = ()
    """Where nothing is to be told of the service: what is out of the usual below it, though it does not show."""


def why(times: Times, calls: Iterable[CallSeries], service: Service, signal: Followed | None = None) -> Answer:
    """Causes of what a service shows in the last `WINDOW` minutes of these times, compared with those before.

    Where fewer minutes are known, the later half of them (less one) is compared with the rest. What goes on in the
    later half of the window is told before what ended in the earlier.
    """
    nodes = accounts(calls)
    window = _window(nodes, len(times))
    if window is None:
        return Answer(
            service, None, None, (), (f"{_known(nodes)} minutes are too few: {LEAST_WINDOW + LEAST_BEFORE} are needed",)
        )
    told: list[Answer] = []
    for part in (_later(window, len(times)), window):
        followed = [_followed(times, nodes, service, one, part) for one in SIGNALS[:2] if signal in (None, one)]
        told = [answer for answer in followed if answer.causes]
        if told:
            break
    if not told and signal in (None, "rate"):
        told = [answer for answer in [_asked_otherwise(times, nodes, service, window)] if answer.causes]
    if told:
        return max(told, key=lambda answer: max(one.cause.departure for one in answer.causes))
    return Answer(
        service,
        None,
        None,
        (),
        ("nothing about its answers is out of the usual",),
        nearby=_nearby(nodes, service, window),
    )


def _known(nodes: Mapping[Node, Account]) -> int:
    """Minutes from the first in which anything was called."""
    firsts = [int(np.flatnonzero(seen)[0]) for one in nodes.values() if (seen := np.isfinite(one.requests)).any()]
    return len(next(iter(nodes.values())).requests) - min(firsts) if firsts else 0


def _window(nodes: Mapping[Node, Account], size: int) -> Window | None:
    """How the known minutes are divided into before and now; None where they are too few."""
    known = _known(nodes)
    if known < LEAST_WINDOW + LEAST_BEFORE:
        return None
    last = min(WINDOW, max(LEAST_WINDOW, known // 2 - 1))
    return Window(size - known, size - last, size - last)


def _later(window: Window, size: int) -> Window:
    """The later half of "now"; what is usual stays the same, so that what just ended is not learnt."""
    return replace(window, split=size - max(LEAST_WINDOW, (size - window.split + 1) // 2))


def _followed(times: Times, nodes: Mapping[Node, Account], service: Service, signal: Followed,
              window: Window) -> Answer:  # fmt: skip
    nothing = Answer(service, signal, None, (), ())
    symptom = _symptom(nodes, service, signal, window)
    if symptom is None:
        return nothing
    values = nodes[symptom].of(signal)
    worst = at_its_worst(values[window.split :], _level(values[window.first : window.clean]))
    window = _cleaned(values, window, worst)
    readings = {
        node: found for node, one in nodes.items() if (found := _reading(one, signal, window, worst)) is not None
    }
    if symptom not in readings or not _telling(readings[symptom], nodes[symptom], signal, window, worst):
        return nothing
    edges, shares = _edges(nodes, window.split, worst)
    ranked = rank(symptom.name, {node.name: one for node, one in readings.items()}, edges, shares)
    by_name = {node.name: node for node in nodes}
    told = [
        Told(by_name[one.node], one, readings[by_name[one.node]].level, readings[by_name[one.node]].now,
             readings[by_name[one.node]].calls, tuple(by_name[name] for name in one.path),
             "service" if by_name[one.node].caller is None else "way", signal)
        for one in ranked if one.confidence >= LEAST_CONFIDENCE
    ]  # fmt: skip
    if signal == "errors":
        told = _unreachable(told, nodes, window, worst)
    return Answer(
        service, signal, int(times[window.split :][worst][0]), tuple(_without_proxies(told, nodes)), (),
        int(times[window.split + int(np.flatnonzero(worst)[0]) if window.began is None else window.began]),
        (readings[symptom].level, readings[symptom].now),
    )  # fmt: skip


def _cleaned(values: Floats, window: Window, worst: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Window:
    """The window without minutes before it that are already as bad (one better one among them allowed).

    They are not learnt as usual, and the symptom began with them.
    """
    level = _level(values[window.first : window.clean])
    bar = level + 0.5 * (float(np.nanmean(values[window.split :][worst])) - level)
    if int(np.flatnonzero(worst)[0]) > 1:  # it began within the window
        return window
    end, better = window.split, 0
    while end > window.first + LEAST_BEFORE and better <= 1:
        better = 0 if values[end - 1] > bar else better + 1
        end -= 1
    end += better
    began = min(end, window.split)
    clean = (
        window.clean if began >= window.clean else max(window.first + LEAST_BEFORE, began - 1)
    )  # its first minute rises
    return replace(window, clean=min(window.clean, clean), began=began)


def _nearby(nodes: Mapping[Node, Account], service: Service, window: Window) -> tuple[Told, ...]:
    """Services called from here, directly or not, that fail more or are slower than usual, the oddest first."""
    callees: dict[Service, list[Service]] = {}
    for node in nodes:
        if node.caller is not None:
            callees.setdefault(node.caller, []).append(node.service)
    below, waiting = {service}, [service]
    for caller in waiting:
        new = [one for one in dict.fromkeys(callees.get(caller, ())) if one not in below]
        below.update(new)
        waiting += new
    found: list[Told] = []
    for node, account in nodes.items():
        if node.caller is not None or node.service == service or node.service not in below:
            continue
        for signal in SIGNALS[:2]:
            values = account.of(signal)
            worst = at_its_worst(values[window.split :], _level(values[window.first : window.clean]))
            one = _reading(account, signal, window, worst)
            if one is not None and _telling(one, account, signal, window, worst):
                cause = Cause(node.name, 0.0, one.departure, (node.name,), 0.0)
                found.append(Told(node, cause, one.level, one.now, one.calls, (node,), "service", signal))
    return tuple(sorted(found, key=lambda each: -each.cause.departure)[:NEARBY])


def _symptom(nodes: Mapping[Node, Account], service: Service, signal: Followed, window: Window) -> Node | None:
    """The service as its own proxy sees it, or the way to it that departs most: whichever departs more."""
    best: tuple[float, Node] | None = None
    for node, account in nodes.items():
        if node.service != service:
            continue
        values = account.of(signal)
        worst = at_its_worst(values[window.split :], _level(values[window.first : window.clean]))
        reading = _reading(account, signal, window, worst)
        if reading is not None and (best is None or reading.excess > best[0]):
            best = (reading.excess, node)
    return None if best is None else best[1]


def _telling(reading: Reading, account: Account, signal: Followed, window: Window,
             worst: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> bool:  # fmt: skip
    """Whether a reading is a symptom: odd, by more where it rests on one minute, and not what chance brings."""
    count = max(1, int(worst.sum()))
    if reading.departure < ODD * (1.0 + 1.0 / (3.0 * count)):
        return False
    if signal != "errors":
        return True
    failed = total(account.errors[window.split :][worst])
    least = (account.share_before(window) + LEAST_ERRORS / ODD) * total(account.requests[window.split :][worst])
    return failed >= FAILURES and poisson_tail(failed, least) < CHANCE


def poisson_tail(count: float, expected: float) -> float:
    """P(X >= count) of a Poisson variable (Chernoff's bound: at most this)."""
    if count <= expected:
        return 1.0
    return float(np.exp(count - expected - count * np.log(count / expected))) if expected > 0 else 0.0


def _level(values: Floats) -> float:
    known = np.sort(values[np.isfinite(values)])
    return float(known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2 if len(known) else 0.0


def _reading(
    account: Account, signal: Followed, window: Window, worst: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> Reading | None:
    before = account.of(signal)[window.first : window.clean]
    requests = account.requests[window.split :][worst]
    asked = total(requests)
    if asked <= 0 or np.isfinite(before).sum() < min(LEAST_BEFORE, window.clean - window.first):
        return None
    row = account.errors if signal == "errors" else account.milliseconds
    now = total(row[window.split :][worst]) / asked
    floor = (
        max(LEAST_ERRORS, ((account.share_before(window) + LEAST_ERRORS) / asked) ** 0.5) if signal == "errors" else 0.5
    )
    return Reading.learnt(before, now, asked / max(1, int(worst.sum())), floor)


def _edges(
    nodes: Mapping[Node, Account], split: int, worst: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> tuple[list[tuple[str, str]], dict[tuple[str, str], float]]:
    """Service to way to service; and what share of a service's calls came each way."""
    edges, shares = [], {}
    for node, account in nodes.items():
        if node.caller is None:
            continue
        edges += [(name_of(node.caller), node.name), (node.name, name_of(node.service))]
        own = nodes.get(Node(node.service))
        if own is not None:
            all_ = total(own.requests[split:][worst])
            share = total(account.requests[split:][worst]) / all_ if all_ > 0 else 0.0
            shares[node.name, name_of(node.service)] = min(1.0, share)
    return edges, shares


def _unreachable(told: list[Told], nodes: Mapping[Node, Account], window: Window,
                 worst: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[Told]:  # fmt: skip
    """Ways into a service that sees none of its calls any more are one cause: the service takes none."""
    found: dict[Service, Told] = {}
    rest: list[Told] = []
    for one in told:
        own = nodes.get(Node(one.node.service))
        if one.kind == "way" and own is not None and _silent(own, nodes[one.node], window, worst) and one.now > 0.5:
            known = found.get(one.node.service)
            found[one.node.service] = replace(one, kind="unreachable") if known is None else joined(known, one)
        else:
            rest.append(one)
    return sorted([*found.values(), *rest], key=lambda one: (-one.weight, -len(one.path)))


def _silent(own: Account, way: Account, window: Window, worst: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> bool:
    usual, asked = usual_rate(own, window), usual_rate(way, window)
    seen = total(own.requests[window.split :][worst]) / max(1, int(worst.sum()))
    tried = total(way.requests[window.split :][worst]) / max(1, int(worst.sum()))
    return usual > 0 and seen <= ALIVE * usual and tried >= STILL_ASKED * asked


def joined(one: Told, other: Told) -> Told:
    """Two that are the same cause."""
    cause = replace(
        one.cause,
        explains=min(1.0, one.cause.explains + other.cause.explains),
        confidence=min(1.0, one.cause.confidence + other.cause.confidence),
    )
    return replace(one, cause=cause, calls=one.calls + other.calls)


def _without_proxies(told: list[Told], nodes: Mapping[Node, Account]) -> list[Told]:
    """A way to a service whose own proxy never tells anything is all that is known of the service."""
    return [replace(one, kind="service") if one.kind == "way" and Node(one.node.service) not in nodes else one
            for one in told]  # fmt: skip


def _asked_otherwise(times: Times, nodes: Mapping[Node, Account], service: Service, window: Window) -> Answer:
    found = followed_up(nodes, service, window)
    if found is None:
        return Answer(service, "rate", None, (), ())
    symptom, last = found[0], found[-1]
    path = tuple(one.node for one in found)
    cause = Cause(last.node.name, last.share, last.departure, tuple(node.name for node in path), last.confidence)
    kind: Kind = "demand" if last.outside else "caller"
    told = [Told(last.node, cause, last.usual, last.now, last.now, path, kind, "rate")]
    if kind == "caller" and last.node.caller is not None:  # it may ask less because it fails
        fails = _followed(times, nodes, last.node.caller, "errors", window)
        told = [*(replace(one, path=(*path, *one.path)) for one in fails.causes), *told]
    began = int(times[symptom.began])
    return Answer(service, "rate", began, tuple(told), (), began, (symptom.usual, symptom.now))
