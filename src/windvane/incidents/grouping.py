"""What belongs together: anomalies near in time whose services reach each other along the calls.

A caller shows what its callee does, so one that waits for another is a part of the same incident even where a service
between them is not odd enough to tell. Two that are only called by the same third are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from windvane.analytics.baselines import Scope
from windvane.incidents.values import Anomaly, Node

NEAR = 10 * 60
"""Seconds between beginnings that still belong together: a caller's alarm may need so long after its cause's."""
HOPS = 3
"""Calls in a row along which something odd is followed over services that are not."""
_ORDER = {"errors": 0, "latency": 1, "rate": 2}
_WHOLE = {"service": 0, "edge": 1, "version": 2, "workload": 3, "operation": 4}


class Calls:
    """Who calls whom, as pairs of caller and callee."""

    def __init__(self, pairs: Iterable[tuple[Node, Node]] = ()) -> None:
        self._callees: dict[Node, set[Node]] = {}
        for caller, callee in pairs:
            if caller != callee:
                self._callees.setdefault(caller, set()).add(callee)
        self._below: dict[Node, dict[Node, int]] = {}

    def also(self, anomalies: Iterable[Anomaly]) -> Calls:
        """These calls, and those that odd ways between services tell of."""
        ways = [(_caller(one.scope), one.node) for one in anomalies if one.scope.kind == "edge"]
        known = [(caller, callee) for caller, callees in self._callees.items() for callee in callees]
        return Calls([*known, *ways]) if ways else self

    def below(self, node: Node) -> dict[Node, int]:
        """Services that it reaches in `HOPS` calls, and in how many."""
        known = self._below.get(node)
        if known is None:
            known, at = {}, {node}
            for hop in range(1, HOPS + 1):
                at = {callee for one in at for callee in self._callees.get(one, ())} - known.keys() - {node}
                known.update(dict.fromkeys(at, hop))
            self._below[node] = known
        return known


def _caller(way: Scope) -> Node:
    name, _, namespace = way.detail.partition(".")
    return namespace, name


def near(one: Anomaly, other: Anomaly) -> bool:
    """Whether they overlap in time, or nearly."""
    return one.start - other.end <= NEAR and other.start - one.end <= NEAR


def together(one: Anomaly, other: Anomaly, calls: Calls) -> bool:
    """Whether two anomalies are parts of one incident.

    Those of one service are where they overlap. Of two services both must have begun at about the same time (so that
    what is wrong all day does not take up whatever comes later), and the callee's must be able to explain the caller's.
    A way between services belongs to the callee: what else its caller calls has nothing to do with it.
    """
    if one.node == other.node:
        return near(one, other)
    if abs(one.start - other.start) > NEAR:
        return False
    return (other.node in calls.below(one.node) and _explains(other, one)) or (
        one.node in calls.below(other.node) and _explains(one, other)
    )


def _explains(callee: Anomaly, caller: Anomaly) -> bool:
    """Who waits for a slow callee is slow, or gives up; whose callee fails, fails; who fails asks others less."""
    if callee.signal == "rate":
        return True
    if caller.signal == "errors":
        return True
    return callee.signal == ("errors" if caller.signal == "rate" else "latency")


def belongs(one: Anomaly, others: Iterable[Anomaly], calls: Calls) -> bool:
    """Whether an anomaly is a part of what these are."""
    return any(together(one, other, calls) for other in others)


def grouped(found: Sequence[Anomaly], calls: Calls) -> list[tuple[Anomaly, ...]]:
    """Anomalies joined with all that belong to them, directly or by way of others; each group led by its first."""
    calls = calls.also(found)
    groups: list[list[Anomaly]] = []
    for one in sorted(found, key=lambda each: (each.start, each.scope, each.signal)):
        mine = [group for group in groups if belongs(one, group, calls)]
        groups = [group for group in groups if not any(group is other for other in mine)]
        groups.append([member for group in mine for member in group] + [one])
    return [ordered(group, calls) for group in groups]


def ordered(members: Iterable[Anomaly], calls: Calls) -> tuple[Anomaly, ...]:
    """The leading one first: the service farthest down the calls, since what callers show follows from it.

    Where only rates fell it is the one farthest up: who is asked less does not ask its own callees. Errors come before
    latencies and rates, a service before its parts (but a way to it before a service that only waits).
    """
    every = list(members)
    calls = calls.also(every)
    falls = all(one.signal == "rate" for one in every)
    # A rate that fell says nothing of depth beside errors or latencies: callees of what fails are asked less.
    nodes = {one.node for one in every if falls or one.signal != "rate"}

    def rank(one: Anomaly) -> tuple[int, int, int, int, int, str]:
        node = one.node
        if falls:
            depth = sum(node in calls.below(other) for other in nodes)
        else:
            depth = len(nodes.intersection(calls.below(node))) if node in nodes else len(nodes) + 1
        return (
            int(one.signal == "rate" and not falls), depth, _ORDER[one.signal], _WHOLE[one.scope.kind], one.start,
            one.scope.service,
        )  # fmt: skip

    return tuple(sorted(every, key=rank))
