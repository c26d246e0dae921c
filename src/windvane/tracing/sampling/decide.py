"""The decision: which traces policies keep, and how many traces each of those stands for.

Every policy comes down to a bound for each trace: it keeps the trace if the trace's hash is below. A match
is the bound 1, no match 0, ten percent 0.1, and a rate the hash of the first trace, in the order of hashes,
that would exceed it. All policies use one hash, so of several the greatest bound decides; and since hashes are
uniform, that bound is the probability with which the trace was kept: it stands for 1 / bound traces. (That
holds for rates as well, which stop at the first trace that does not fit: see Ting, "Adaptive threshold
sampling", SIGMOD 2022, on budgets of items of any size.) Sums of weights are estimates without bias, whatever
the policies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from windvane.tracing.sampling.facts import Facts, Shares
from windvane.tracing.sampling.policies import (
    Always,
    Both,
    Composite,
    Drop,
    Latency,
    Policy,
    Probabilistic,
    RateLimiting,
    SpanCount,
    TailSampling,
    leaves,
)

SECONDS = 60
"""Rates are kept within a minute: the traces that are decided together."""
NOT_KEPT = ""


@dataclass(frozen=True, slots=True)
class Decisions:
    """By trace, in the order of the facts: `weight` is 0 where it is not kept; `policy` is the first that keeps it.

    `policy` of a trace that is not kept names the `drop` policy that matches, or is empty.
    """

    weight: Shares
    policy: NDArray[np.object_]


def decide(facts: Facts, sampling: TailSampling) -> Decisions:
    """The decision on every trace: a function of the facts alone."""
    numbers = {id(leaf): place for place, leaf in enumerate(leaves(sampling.policies))}
    bounds = _Bounds(facts, numbers)
    size = len(facts.ids)
    kept, dropped = np.zeros(size), np.zeros(size)
    policy = np.full(size, NOT_KEPT, dtype=object)
    for one in sampling.policies:
        found = bounds.of(one)
        below = facts.hash < found
        if isinstance(one.rule, Drop):
            dropped = np.maximum(dropped, found)
        else:
            policy[below & (policy == NOT_KEPT)] = one.name
            kept = np.maximum(kept, found)
    keep = (facts.hash < kept) & (facts.hash >= dropped)
    chances = np.where(keep, kept - dropped, 1.0)
    _name_drops(policy, bounds, sampling.policies)
    return Decisions(np.where(keep, 1.0 / chances, 0.0), policy)


def _name_drops(policy: NDArray[np.object_], bounds: _Bounds, policies: Sequence[Policy]) -> None:
    for one in reversed(policies):
        if isinstance(one.rule, Drop):
            policy[bounds.facts.hash < bounds.of(one)] = one.name


class _Bounds:
    """Bounds of policies over the same traces."""

    def __init__(self, facts: Facts, numbers: dict[int, int]) -> None:
        self.facts = facts
        self._numbers = numbers
        self._size = len(facts.ids)

    def of(self, policy: Policy) -> Shares:
        """Below which hash a policy keeps each trace."""
        match policy.rule:
            case Both(policies) | Drop(policies):
                return self._all(policies)
            case Composite():
                return self._composite(policy.rule)
            case RateLimiting(spans):
                return self._within(np.ones(self._size), spans)
        return self._leaf(policy)

    def _leaf(self, policy: Policy) -> Shares:
        facts, place = self.facts, self._numbers[id(policy)]
        match policy.rule:
            case Always():
                return np.ones(self._size)
            case Probabilistic(share):
                return np.full(self._size, share)
            case Latency(least, most):
                took = facts.milliseconds
                return np.where((took > least) & (took <= most) if most else took >= least, 1.0, 0.0)
            case SpanCount(least, most):
                return np.where((facts.spans >= least) & ((facts.spans <= most) | (most == 0)), 1.0, 0.0)
        if place in facts.rare:
            return facts.rare[place]
        return np.where(facts.matches[place] ^ policy.inverted, 1.0, 0.0)

    def _all(self, policies: Sequence[Policy]) -> Shares:
        """What every one keeps; rates count what the others leave."""
        found = np.ones(self._size)
        for policy in policies:
            if not isinstance(policy.rule, RateLimiting):
                found = np.minimum(found, self.of(policy))
        for policy in policies:
            if isinstance(policy.rule, RateLimiting):
                found = self._within(found, policy.rule.spans)
        return found

    def _composite(self, rule: Composite) -> Shares:
        """The greatest of the bounds: a trace that a policy has no room for is offered to the next ones."""
        found = np.zeros(self._size)
        for policy, part in zip(rule.policies, rule.parts, strict=True):
            taken = self.facts.hash < found
            offered = np.where(taken, 0.0, self.of(policy))
            limit = self._limit(offered, part)
            found = np.maximum(found, np.minimum(self.of(policy), limit))
        return found

    def _within(self, bounds: Shares, spans: float) -> Shares:
        return np.minimum(bounds, self._limit(bounds, spans))

    def _limit(self, bounds: Shares, spans: float) -> float:
        """Below which hash the traces that are below their bounds have no more spans than a rate allows."""
        below = np.flatnonzero(self.facts.hash < bounds)
        order = below[np.argsort(self.facts.hash[below], kind="stable")]
        over = np.flatnonzero(np.cumsum(self.facts.spans[order]) > spans * SECONDS)
        return float(self.facts.hash[order[over[0]]]) if over.size else 1.0
