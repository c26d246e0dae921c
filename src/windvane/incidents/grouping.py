"""What belongs together: anomalies near in time whose services reach each other along the calls.

A caller shows what its callee does, so one that waits for another is a part of the same incident even where a service
between them is not odd enough to tell. Two that are only called by the same third are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from windvane.analytics.baselines import Scope
from windvane.incidents.values import Anomaly, Node, node_of

NEAR = 10 * 60
"""Seconds between anomalies that still belong together: a caller's alarm may need so long after its cause's."""
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
        ways = [nodes_of(one.scope) for one in anomalies if one.scope.kind == "edge"]
        known = [(caller, callee) for caller, callees in self._callees.items() for callee in callees]
        return Calls([*known, *((caller, callee) for callee, caller in ways)]) if ways else self

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

    def has_callers(self, node: Node) -> bool:
        """Whether anything is known to call it."""
        return any(node in callees for callees in self._callees.values())

    def related(self, one: Node, other: Node) -> bool:
        """Whether they are the same, or one reaches the other."""
        return one == other or other in self.below(one) or one in self.below(other)


def nodes_of(scope: Scope) -> tuple[Node, ...]:
    """The services that a scope concerns: of an edge both ends, the callee first."""
    if scope.kind != "edge":
        return (node_of(scope),)
    name, _, namespace = scope.detail.partition(".")
    return node_of(scope), (namespace, name)


def near(one: Anomaly, other: Anomaly) -> bool:
    """Whether they overlap in time, or nearly."""
    return one.start - other.end <= NEAR and other.start - one.end <= NEAR


def belongs(one: Anomaly, others: Iterable[Anomaly], calls: Calls) -> bool:
    """Whether an anomaly is a part of what these are."""
    mine = nodes_of(one.scope)
    return any(
        near(one, other) and any(calls.related(a, b) for a in mine for b in nodes_of(other.scope)) for other in others
    )


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
