"""A cause with all the evidence for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from windvane.analytics.changes import SLACK, bearing
from windvane.analytics.explain import evidence, load
from windvane.analytics.explain.context import Context, callers, name
from windvane.analytics.explain.detail import tcp_peers
from windvane.analytics.explain.evidence import Narrowed
from windvane.analytics.explain.load import Demand
from windvane.analytics.explain.model import Change, Evidence, Reason, TraceRef
from windvane.analytics.explain.selftime import Grown, grown
from windvane.analytics.explain.words import ago, milliseconds, say
from windvane.analytics.explain.words import share as percent
from windvane.analytics.mesh_series import name_of
from windvane.analytics.releases.read import AskRange
from windvane.analytics.why import Told
from windvane.store.api import Engine

_CHANGES = 3


@dataclass(frozen=True, slots=True)
class Found:
    """A cause, and what was found about it."""

    told: Told
    flags: dict[str, float] = field(default_factory=dict)
    only: Narrowed | None = None
    demand: Demand | None = None
    again: Sequence[tuple[str, float, float]] = ()
    tried: Sequence[tuple[str, float, float]] = ()
    work: Grown | None = None
    peers: Sequence[str] = ()
    looked: bool = False


def gathered(told: Told, context: Context, ask: AskRange, traces: Engine | None) -> Found:
    """What the sources say about a cause."""
    service = told.node.service
    rate = told.signal == "rate"
    work = None
    if traces is not None and not rate:
        caller = told.node.caller if told.kind in ("way", "unreachable") else None
        work = grown(traces, service, caller, onset=context.onset, end=context.end, signal=told.signal)
    return Found(
        told,
        evidence.flag_counts(told, context),
        evidence.narrowed(told, context),
        load.demand(service, context),
        () if rate else tuple(load.repeats(service, context)),
        () if rate else tuple(load.attempts(service, context)),
        work,
        tcp_peers(ask, service, int(context.onset), context.end) if told.kind == "service" and not rate else (),
        looked=True,
    )


def reason(found: Found, context: Context, near: Sequence[Change]) -> Reason:
    """A cause as it is told."""
    told, node = found.told, found.told.node
    return Reason(
        node.service[1], node.service[0], name_of(node.caller) if node.caller else None, told.kind,
        _words(found, context), told.cause.explains, told.cause.confidence, told.cause.departure, told.usual, told.now,
        told.calls, callers(told.path), told.signal, dict(found.flags), found.only.only if found.only else None,
        list(_evidence(found, context, near)),
    )  # fmt: skip


def _words(found: Found, context: Context) -> str:
    told = found.told
    kind = {"service": "self"}.get(told.kind, told.kind)
    seen = (
        say(context.language, "seen.flags", flags=", ".join(found.flags))
        if found.flags and told.signal == "errors"
        else ""
    )
    return say(
        context.language, f"cause.{kind}", cause=name(told.node), figures=evidence.figures(told, context), flags=seen,
        caller=name_of(told.node.caller) if told.node.caller else "", share=f"{told.cause.explains:.0%}",
    )  # fmt: skip


def preceding(told: Told, near: Sequence[Change], onset: float) -> list[Change]:
    """Changes that speak for a cause, the most telling first."""
    mine = [one for one in near if one.service == name_of(told.node.service) and bearing(one, onset) > 0]
    return sorted(mine, key=lambda one: -bearing(one, onset))[:_CHANGES]


def _evidence(found: Found, context: Context, near: Sequence[Change]) -> Iterator[Evidence]:
    told = found.told
    for one in preceding(told, near, context.onset):
        before = ago(min(context.onset, context.onset + SLACK) - one.at, context.language)
        yield Evidence("change", say(context.language, "evidence.change", ago=before, change=one.text), one.at, one.ref)
    yield evidence.series(told, context)
    if not found.looked:
        return
    yield from evidence.edge(told, context)
    yield from evidence.flags(told, context, found.flags)
    yield from evidence.codes(told, context)
    if found.only is not None:
        yield evidence.only_evidence(told, found.only, context)
    yield from load.load(told, context, found.demand, list(found.again), list(found.tried))
    yield from load.unseen(told, context, found.peers)
    if found.work is not None:
        yield from _traced(told, found.work, context)


def work_words(told: Told, work: Grown, context: Context) -> str:
    """What traces tell, in a sentence."""
    template = "self.failed" if work.what == "failing" else "self.call" if work.call else "self.time"
    show = percent if work.what == "failing" else milliseconds
    return say(
        context.language, template, operation=work.operation, cause=work.service, now=show(work.now),
        usual=show(work.before), traces=work.traces, peer=f" ({work.peer})" if work.peer else "",
    )  # fmt: skip


def _traced(told: Told, work: Grown, context: Context) -> Iterator[Evidence]:
    ref = TraceRef(work.trace)
    yield Evidence("self-time", work_words(told, work, context), context.onset, ref)
    which = "trace.failed" if work.what == "failing" else "trace.slow"
    yield Evidence("trace", say(context.language, which, ms=milliseconds(work.trace_ms)), work.at, ref)
