"""Which calls lost the trace of the request they were made for; plain functions of columns.

A call whose trace its proxy also served is *continued*. Of the others:

- it carries the request id of a served request: lost, and the id proves it (*seen*); so does the lower half of a
  trace id of which the upper half was cut;
- else timing: if calls to one destination happen while requests are served more often, or while more are served,
  than they would at random moments, and most of them do, the estimated number is lost (*likely*);
- else they are calls of the workload's own, but so many could still be lost (*unknown*).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from windvane.kit.shares import Z95
from windvane.tracing.analysis.spans import Floats, Ints, Keys, Mask
from windvane.tracing.analysis.statistics import Interval, binomial_tail, share_of
from windvane.tracing.propagation.calls import Calls, Requests
from windvane.tracing.propagation.keys import among, among_many, grouped, numbered
from windvane.tracing.propagation.serving import Chance, Serving

FALSE_ACCUSATIONS = 0.001
"""Chance of accusing anybody by timing where nobody forgets anything, over all that is judged at once."""

_FEW = 30  # calls below which the mean number served is not near enough to a normal distribution
_MOSTLY = 0.5  # least share of open calls made for requests: where a program stalls, its jobs and its requests pile up
_HALF = 0.5  # share of busy time up to which "was anything served" tells most
_NEGLIGIBLE = 0.05  # share of calls that may be lost where context still counts as kept
_UNFINISHED_NS = 60 * 10**9
_LONG = 0.999  # quantile of the length of requests


Status = Literal["loses", "keeps", "unclear", "own"]


@dataclass(frozen=True, slots=True)
class Judged:
    """Calls that can be judged, and an entry of each array for each of them.

    `continued` (some `renamed`: under a new request id), `proven` and `shortened` (proven, by an id cut to 64 bits)
    are certain; `open` calls are judged by timing: `served` is the number of requests in hand at the time,
    `chance` what would be by chance (both 0 for other calls).
    """

    made: Requests
    continued: Mask
    proven: Mask
    shortened: Mask
    renamed: Mask
    served: Ints
    chance: Chance

    def open(self, rows: Ints) -> Mask:
        """Which of these calls are neither continued nor proven to be lost."""
        return ~(self.continued[rows] | self.proven[rows])


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the calls of a group (a workload's to one cluster).

    `seen` and `likely` calls lost their trace, up to `unknown` more may have; `own` are not made for a
    request. `renamed` of the continued came under a new request id.
    """

    calls: int
    continued: int
    seen: int
    likely: int
    unknown: int
    own: int
    shortened: int
    renamed: int
    lost_low: float
    lost_high: float

    @property
    def lost(self) -> int:
        return self.seen + self.likely

    @property
    def status(self) -> Status:
        """What the counts amount to."""
        if self.lost:
            return "loses"
        if self.unknown and self.share().high > _NEGLIGIBLE:
            return "unclear"
        return "keeps" if self.continued else "own"

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(*(getattr(self, name) + getattr(other, name) for name in Verdict.__slots__))

    def share(self) -> Interval:
        """Lost of all calls made for requests, 95 % interval: Wilson's, wider by what timing leaves open."""
        low, high = round(self.seen + self.lost_low), round(self.seen + self.lost_high)
        of = self.continued + self.lost
        least, most = share_of(low, self.continued + low), share_of(high, self.continued + high)
        value = self.lost / of if of else 0.0
        return Interval(value, min(value, least.low), max(value, most.high))


NOTHING = Verdict(0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0)


def judge_calls(calls: Calls, *, settled: bool = True) -> Judged:
    """What is certain of each call, and what timing says. Only `settled` ones: calls at the window's ends wait."""
    made = calls.made
    if settled:
        first, last = _judgeable(calls)
        made = made.take((made.start >= first) & (made.start <= last))
    made = made.take((made.trace > 0) | (made.request > 0))
    pairs = _Pairs(calls)
    same, known = pairs.serves(made, "trace"), pairs.serves(made, "request")
    shortened = same & made.short
    shortened[shortened] = ~pairs.serves_short(made.take(shortened))
    continued = (same & ~shortened) | ((made.trace == 0) & known)
    proven = shortened | (~same & known & (made.trace > 0))
    served = np.zeros(len(made), np.int64)
    chance = Chance(*(np.zeros(len(made)) for _ in range(3)))
    timed = np.flatnonzero(~continued & ~proven)
    for own, serving in _by_node(made.node[timed], calls.served):
        rows = timed[own]
        served[rows] = serving.at(made.start[rows])
        local = serving.chance(made.start[rows])
        for name in Chance.__slots__:
            getattr(chance, name)[rows] = getattr(local, name)
    new_id = continued & ~known & (made.request > 0)
    return Judged(made, continued, proven, shortened, new_id, served, chance)


def verdict(judged: Judged, rows: Ints, tests: int) -> Verdict:
    """Of the calls of one group; `tests` groups are judged at once."""
    continued, proven = int(judged.continued[rows].sum()), int(judged.proven[rows].sum())
    left = rows[judged.open(rows)]
    caused = _caused(judged, left, FALSE_ACCUSATIONS / max(1, tests))
    inside = int((judged.served[left] > 0).sum())
    likely = round(caused.value) if caused.low > 0 else 0
    possible = min(inside, math.ceil(caused.high))
    unknown = max(0, possible - likely) if not likely else 0
    return Verdict(
        calls=len(rows), continued=continued, seen=proven, likely=likely, unknown=unknown,
        own=len(left) - likely - unknown, shortened=int(judged.shortened[rows].sum()),
        renamed=int(judged.renamed[rows].sum()), lost_low=caused.low, lost_high=float(possible),
    )  # fmt: skip


def chance_of_cause(judged: Judged, row: int) -> float:
    """How probable it is that an open call was made for one of the requests in hand.

    By Bayes' rule from the share of calls like it (same proxy, same cluster) that are, half a call of either kind
    added: those come in proportion to the number in hand, others at any moment alike.
    """
    made = judged.made
    alike = np.flatnonzero((made.node == made.node[row]) & (made.cluster == made.cluster[row]))
    alike = alike[judged.open(alike)]
    share = (_caused(judged, alike, 1.0).value + 0.5) / (len(alike) + 1)
    for_requests, at_random = share * float(judged.served[row]), (1 - share) * float(judged.chance.mean[row])
    return for_requests / (for_requests + at_random) if for_requests > 0 else 0.0


def _caused(judged: Judged, rows: Ints, accepted: float) -> Interval:
    """How many of these calls were made for a request, at least and at most; at least 0 where chance explains them."""
    if not len(rows):
        return Interval(0.0, 0.0, 0.0)
    chance = Chance(*(getattr(judged.chance, name)[rows] for name in Chance.__slots__))
    served, busy = judged.served[rows], chance.busy
    share, p = _by_presence(served, busy) if busy.mean() < _HALF else _by_number(served, chance)
    if p >= accepted or share.low < _MOSTLY:
        share = Interval(share.value, 0.0, share.high)
    return Interval(*(len(rows) * value for value in (share.value, share.low, share.high)))


def _by_presence(served: Ints, busy: Floats) -> tuple[Interval, float]:
    """The share made for requests from how many found anything served, and the p-value of none being."""
    inside, by_chance = int((served > 0).sum()), float(busy.mean())
    found = share_of(inside, len(served))
    shares = ((value - by_chance) / (1 - by_chance) for value in (found.value, found.low, found.high))
    return Interval(*(min(1.0, max(0.0, share)) for share in shares)), binomial_tail(inside, len(served), by_chance)


def _by_number(served: Ints, chance: Chance) -> tuple[Interval, float]:
    """The same from how many requests were being served, for proxies that always serve some."""
    count, gain = len(served), float(chance.gain.sum())
    excess = served - chance.mean
    spread = math.sqrt(float(chance.variance.sum()))
    if count < _FEW or gain <= 0 or spread <= 0:
        return Interval(0.0, 0.0, 1.0), 1.0
    share = float(excess.sum()) / gain
    half = Z95 * math.sqrt(float(((excess - share * chance.gain) ** 2).sum())) / gain
    bounds = [min(1.0, max(0.0, value)) for value in (share, share - half, share + half)]
    return Interval(*bounds), 0.5 * math.erfc(float(excess.sum()) / spread / math.sqrt(2))


def _judgeable(calls: Calls) -> tuple[int, int]:
    """Calls of the first and last moments may be of requests that began earlier, or are told of when they end."""
    if not len(calls.served):
        return calls.start_ns, int(np.iinfo(np.int64).max)
    long = int(np.quantile(calls.served.end - calls.served.start, _LONG))
    margin = min(long, _UNFINISHED_NS)
    return calls.start_ns + margin, int(max(calls.served.end.max(), calls.made.end.max(initial=0))) - margin


class _Pairs:
    """Which proxy served which id."""

    def __init__(self, calls: Calls) -> None:
        self._served = (calls.served, calls.known)

    def serves(self, made: Requests, name: str) -> Mask:
        """Calls with a `name` (trace, request) that their proxy served."""
        ids: Keys = getattr(made, name)
        served = self._keys([getattr(one, name) > 0 for one in self._served], name)
        return among_many(_mixed(made.node, ids), served) & (ids > 0)

    def serves_short(self, made: Requests) -> Mask:
        """Calls with a trace id that their proxy served when it already had 64 bits only."""
        return among_many(_mixed(made.node, made.trace), self._keys([one.short for one in self._served], "trace"))

    def _keys(self, chosen: list[Mask], name: str) -> Keys:
        parts = zip(self._served, chosen, strict=True)
        return np.sort(np.concatenate([_mixed(one.node[rows], getattr(one, name)[rows]) for one, rows in parts]))


def _mixed(nodes: Keys, ids: Keys) -> Keys:
    return nodes * np.uint64(0x9E3779B97F4A7C15) + ids


def _by_node(callers: Keys, served: Requests) -> Iterator[tuple[Ints, Serving]]:
    """Of calls given by their proxies, those of each proxy, and what it served."""
    nodes, number = numbered(callers)
    calls, begins = grouped(number, len(nodes))
    own = np.flatnonzero(among(served.node, nodes))
    requests, firsts = grouped(np.searchsorted(nodes, served.node[own]), len(nodes))
    for one in range(len(nodes)):
        rows = own[requests[firsts[one] : firsts[one + 1]]]
        yield calls[begins[one] : begins[one + 1]], Serving.of(served.start[rows], served.end[rows])
