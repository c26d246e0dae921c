"""How a suspect is asked: demand, calls that are made again, attempts, and what it calls that no proxy times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from windvane.analytics.accounts import Account, Node
from windvane.analytics.explain.context import Context, name
from windvane.analytics.explain.detail import Mask, parts
from windvane.analytics.explain.evidence import FEW, SIGMAS, TOLD, caller_of
from windvane.analytics.explain.model import Evidence
from windvane.analytics.explain.words import say
from windvane.analytics.mesh_series import Service, name_of
from windvane.analytics.why import Told
from windvane.promql.quoting import quote

_MORE = 1.3
_SURGE = 1.5


@dataclass(frozen=True, slots=True)
class Demand:
    """How a service is asked: by what factor more than usual, calls a minute, and the caller who brings most of it."""

    usual: float
    now: float
    caller: str

    @property
    def factor(self) -> float:
        """Times the usual."""
        return self.now / self.usual if self.usual > 0 else 0.0


def demand(service: Service, context: Context) -> Demand | None:
    """A service's demand where it is clearly more than usual."""
    before, now = context.minutes()
    ways = {node: rates for node, one in context.nodes.items()
            if node.service == service and node.caller is not None and (rates := _rates(one, before, now))}  # fmt: skip
    own = context.nodes.get(Node(service))
    rates = _rates(own, before, now) if own is not None else None
    if rates is None or rates[0] <= 0 or rates[1] < _SURGE * rates[0] + SIGMAS * rates[0] ** 0.5:
        return None
    most = max(ways, key=lambda node: ways[node][1] - ways[node][0], default=None)
    return Demand(rates[0], rates[1], name_of(most.caller) if most is not None and most.caller else "?")


def _rates(account: Account, before: Mask, now: Mask) -> tuple[float, float] | None:
    if not before.any() or not now.any():
        return None
    usual, present = account.requests[before], account.requests[now]
    if not np.isfinite(usual).any():
        return None
    return float(np.nanmedian(usual)), float(np.nan_to_num(present).mean())


def repeats(service: Service, context: Context) -> Iterator[tuple[str, float, float]]:
    """Callers that call a service more often per request of their own: name, usually, now."""
    before, now = context.minutes()
    for node, way in context.nodes.items():
        if node.service != service or node.caller is None:
            continue
        own = context.nodes.get(Node(node.caller))
        rates, asked = _rates(way, before, now), _rates(own, before, now) if own is not None else None
        if rates is None or asked is None or min(*rates, *asked) < FEW:
            continue
        usual, present = rates[0] / asked[0], rates[1] / asked[1]
        if present >= _MORE * usual and present >= 0.2:
            yield name_of(node.caller), usual, present


def attempts(service: Service, context: Context) -> Iterator[tuple[str, float, float]]:
    """Callers whose proxies make more attempts a call: what arrived over what was asked, usually and now."""
    detail = context.details.get(service)
    if detail is None:
        return
    sides = [
        parts(detail, context.before(detail), context.now(detail), caller_of, side)
        for side in ("source", "destination")
    ]
    for key, asked in sides[0].items():
        arrived = sides[1].get(key)
        if arrived is None or min(*asked.calls, *arrived.calls) < FEW or key == ("unknown",):
            continue
        usual, present = (arrived.calls[when] / asked.calls[when] for when in (0, 1))
        if present >= 1.15 * max(1.0, usual):
            yield key[0], usual, present


def unseen(told: Told, context: Context, peers: Sequence[str]) -> Iterator[Evidence]:
    """What the cause calls over TCP: no proxy tells how long that takes, or whether it worked."""
    if peers:
        text = say(context.language, "unseen", cause=name(told.node), peers=", ".join(peers[:TOLD]))
        matcher = f"source_canonical_service={quote(told.node.service[1])}"
        yield Evidence("edge", text, None, context.query(f"sum(rate(istio_tcp_sent_bytes_total{{{matcher}}}[2m]))"))


def load(told: Told, context: Context, asked: Demand | None, again: list[tuple[str, float, float]],
         tried: list[tuple[str, float, float]]) -> Iterator[Evidence]:  # fmt: skip
    """Demand, repeated calls and attempts as evidence."""
    cause, language = name(told.node), context.language
    ref = context.series(Node(told.node.service), "rate")
    if asked is not None:
        yield Evidence("demand", say(language, "demand", cause=cause, factor=f"{asked.factor:.1f}",
                                     usual=f"{asked.usual:.0f}", now=f"{asked.now:.0f}", caller=asked.caller),
                       context.onset, ref)  # fmt: skip
    words = "retries" if told.signal == "errors" else "fanout"
    for caller, usual, now in again[:TOLD]:
        text = say(language, words, caller=caller, cause=cause, usual=f"{usual:.2f}", now=f"{now:.2f}")
        yield Evidence("demand", text, context.onset, ref)
    for caller, usual, now in tried[:TOLD]:
        text = say(language, "attempts", caller=caller, usual=f"{usual:.2f}", now=f"{now:.2f}")
        yield Evidence("demand", text, context.onset, ref)
