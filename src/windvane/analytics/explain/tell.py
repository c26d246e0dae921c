"""The paragraph: the symptom, where it begins, what changed before, what narrows it down, what else there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from windvane.analytics.accounts import Node
from windvane.analytics.explain import evidence, load
from windvane.analytics.explain.context import Context, name
from windvane.analytics.explain.flags import FLAGS
from windvane.analytics.explain.model import Change, Segment, ServiceRef, TraceRef
from windvane.analytics.explain.reasons import Found, preceding
from windvane.analytics.explain.words import ago, clock, milliseconds, say, valued
from windvane.analytics.mesh_series import name_of
from windvane.analytics.why import Answer, Told

_SURE, _MENTIONED = 0.5, 0.15
_UNTOLD = {"DC"}
"""Flags that tell only that somebody else gave up."""


def paragraph(answer: Answer, found: Sequence[Found], context: Context, near: Sequence[Change],
              timeouts: bool) -> list[Segment]:  # fmt: skip
    """The answer in plain words, each claim with where to look it up."""
    return list(_segments(answer, found, context, near, timeouts))


def _segments(answer: Answer, found: Sequence[Found], context: Context, near: Sequence[Change],
              timeouts: bool) -> Iterator[Segment]:  # fmt: skip
    first, language = found[0], context.language
    told = first.told
    yield _symptom(answer, context)
    if timeouts:
        yield Segment(say(language, "timeout.told"), ServiceRef(*told.node.service))
    yield from _begins(told, context)
    for change in preceding(told, near, context.onset)[:1]:
        before = ago(context.onset - change.at, language)
        yield Segment(say(language, "change", ago=before, change=change.text), change.ref)
    if first.only is not None:
        yield Segment(evidence.only_words(told, first.only, context, ".told"),
                      evidence.only_evidence(told, first.only, context).ref)  # fmt: skip
    yield from _flagged(first, context)
    yield from _loaded(first, context)
    yield from _traced(first, context)
    yield from _unseen(first, context)
    for other in found[1:]:
        if other.told.cause.confidence >= _MENTIONED and other.told.signal == told.signal:
            yield Segment(say(language, "other", cause=other.told.node.name, share=f"{other.told.cause.explains:.0%}"),
                          context.series(other.told.node, other.told.signal))  # fmt: skip


def _symptom(answer: Answer, context: Context) -> Segment:
    signal = answer.signal or "errors"
    usual, now = answer.figures
    which = f"symptom.{signal}" if signal != "rate" else f"symptom.rate.{'more' if now > usual else 'less'}"
    words = say(context.language, which, service=name_of(answer.service), since=clock(context.onset),
                usual=valued(signal, usual), now=valued(signal, now))  # fmt: skip
    seen = Node(answer.service) in context.nodes and answer.causes[0].kind != "unreachable"
    node = Node(answer.service) if seen else next(n for n in context.nodes if n.service == answer.service)
    return Segment(words, context.series(node, signal))


def _begins(told: Told, context: Context) -> Iterator[Segment]:
    language, cause = context.language, name(told.node)
    kind = {"service": "self"}.get(told.kind, told.kind)
    caller = name_of(told.node.caller) if told.node.caller else ""
    doubt = (
        say(language, "probably", confidence=f"{told.cause.confidence:.0%}") if told.cause.confidence < _SURE else ""
    )
    yield Segment(say(language, f"begins.{kind}", cause=cause, caller=caller) + doubt, ServiceRef(*told.node.service))
    figures = say(
        language, f"figures.{told.signal}", usual=valued(told.signal, told.usual), now=valued(told.signal, told.now)
    )
    share = (
        say(language, "explains", share=f"{told.cause.explains:.0%}")
        if told.signal != "rate"
        else say(language, "stop")
    )
    yield Segment(figures + share, context.series(told.node, told.signal))


def _flagged(found: Found, context: Context) -> Iterator[Segment]:
    flag = next((one for one in found.flags if one in FLAGS and one not in _UNTOLD), None)
    if flag is None or found.told.signal == "rate":
        return
    meaning, look = evidence.meaning_of(flag, found.told, context)
    query = evidence.service_query(found.told, context, f'response_flags=~"(.*,)?{flag}(,.*)?"')
    yield Segment(say(context.language, "flags.told", flag=flag, meaning=meaning, look=look), context.query(query))


def _loaded(found: Found, context: Context) -> Iterator[Segment]:
    told = found.told
    ref = context.series(Node(told.node.service), "rate")
    if told.signal == "errors" and found.again:
        caller, usual, now = max(found.again, key=lambda one: one[2] / max(one[1], 1e-9))
        yield Segment(say(context.language, "retries.told", caller=caller, usual=f"{usual:.2f}", now=f"{now:.2f}"), ref)
    elif told.signal == "latency" and told.kind == "service" and found.demand is not None:
        asked = found.demand
        yield Segment(say(context.language, "demand.told", factor=f"{asked.factor:.1f}", usual=f"{asked.usual:.0f}",
                          now=f"{asked.now:.0f}"), ref)  # fmt: skip


def _unseen(found: Found, context: Context) -> Iterator[Segment]:
    """A service that is slow of itself may wait for what it calls over TCP."""
    if found.peers and found.told.signal == "latency" and not (found.work and found.work.call):
        for one in load.unseen(found.told, context, found.peers):
            yield Segment(say(context.language, "unseen.told", peers=", ".join(found.peers[:3])), one.ref)


def _traced(found: Found, context: Context) -> Iterator[Segment]:
    work = found.work
    if work is None:
        return
    if work.what == "failing":
        text = say(context.language, "self.failed.told", operation=work.operation)
    else:
        text = say(context.language, "self.told", operation=work.operation, usual=milliseconds(work.before),
                   now=milliseconds(work.now))  # fmt: skip
    yield Segment(text, TraceRef(work.trace))
    yield Segment(say(context.language, "trace.told", id=work.trace), TraceRef(work.trace))
