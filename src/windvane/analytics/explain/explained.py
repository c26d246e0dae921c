"""The whole answer: causes are found, checked against everything else that is known, ranked again, and put in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from windvane.analytics.accounts import Account, Node, accounts
from windvane.analytics.changes import bearing, changes_near, raised
from windvane.analytics.explain.context import Context, reporter_of
from windvane.analytics.explain.detail import STEP, Detail, onset, read_detail
from windvane.analytics.explain.evidence import answered, refuted
from windvane.analytics.explain.flags import kinds_of
from windvane.analytics.explain.model import Change, Explained, Language, Segment
from windvane.analytics.explain.reasons import Found, gathered, reason
from windvane.analytics.explain.tell import paragraph
from windvane.analytics.explain.words import milliseconds, say, valued
from windvane.analytics.explain.words import share as percent
from windvane.analytics.mesh_series import STEP as MINUTE
from windvane.analytics.mesh_series import CallSeries, Service, name_of, read_calls
from windvane.analytics.releases.read import AskRange, failed
from windvane.analytics.why import BEFORE, LEAST_BEFORE, LEAST_WINDOW, WINDOW, Answer, Followed, Told, why
from windvane.history.book import Book
from windvane.kit.errors import BadInputError, NotFoundError
from windvane.store.api import Engine

SUSPECTS = 3
"""Causes that are looked into."""
TIMED_OUT = 0.5
"""Share of the failed calls that must be timeouts for the answer to go on along their time."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to look: series always, traces and the history of the configuration where there are any."""

    ask: AskRange
    traces: Engine | None = None
    book: Book | None = None


def explained(sources: Sources, asked: str, at: int, signal: Followed | None = None, *, language: Language = "en",
              before: int = BEFORE) -> Explained:  # fmt: skip
    """Why a service (NAME or NAME.NAMESPACE) shows what it does at a time (Unix seconds), learnt from `before` minutes.

    `NotFoundError` where nobody called such a service in that time, `BadInputError` where several are called so.
    """
    end = at // STEP * STEP
    times, calls = read_calls(sources.ask, (end - (WINDOW + before) * MINUTE) * 1_000, end * 1_000)
    service = named(asked, {one.callee for one in calls}, WINDOW + before)
    answer = why(times, calls, service, signal)
    if not answer.causes:
        return _abstained(answer, times, calls, at=end, language=language)
    began = answer.began or end
    suspects = list(dict.fromkeys(one.node.service for one in answer.causes[:SUSPECTS]))
    details = {one: read_detail(sources.ask, one, began, end) for one in suspects}
    causes, timeouts = _followed_on(answer, times, calls, details)
    for one in causes[:SUSPECTS]:
        if one.node.service not in details:
            details[one.node.service] = read_detail(sources.ask, one.node.service, began, end)
    moment = _onset(causes[0], details[causes[0].node.service], began)
    context = Context(language, times, accounts(calls), details, moment, end)
    causes = answered([one for one in causes if not refuted(one, context)] or causes, context)
    near = changes_near(sources.ask, sources.book, [*details], moment, language=language, details=details)
    causes = _ranked_again(causes, near, moment)
    found = [gathered(one, context, sources.ask, sources.traces if place < 2 else None)
             for place, one in enumerate(causes[:SUSPECTS])]  # fmt: skip
    return Explained(
        service[1], service[0], answer.signal, answer.since, end, moment,
        [reason(one, context, near) for one in [*found, *map(Found, causes[SUSPECTS:])]],
        answer.notes, False, paragraph(answer, found, context, near, timeouts), near, language,
    )  # fmt: skip


def named(asked: str, services: Iterable[Service], minutes: int) -> Service:
    """The one service that is called so."""
    name, _, namespace = asked.partition(".")
    found = sorted(one for one in services if one[1] == name and (not namespace or one[0] == namespace))
    if not found:
        raise NotFoundError(f"no HTTP or gRPC calls to service {asked} in the {minutes} minutes before")
    if len(found) > 1:
        spaces = ", ".join(one[0] for one in found)
        raise BadInputError(f"service {asked} is in namespaces {spaces}: name it NAME.NAMESPACE")
    return found[0]


def _followed_on(answer: Answer, times: np.ndarray[tuple[int], np.dtype[np.int64]], calls: Sequence[CallSeries],
                 details: dict[Service, Detail]) -> tuple[list[Told], bool]:  # fmt: skip
    """The causes; where what fails first are timeouts, those of the time that its service takes come first."""
    first = answer.causes[0]
    if first.signal != "errors" or _timed_out(first, details[first.node.service], answer.began or 0) < TIMED_OUT:
        return list(answer.causes), False
    slow = why(times, calls, first.node.service, "latency")
    if not slow.causes:
        return list(answer.causes), False
    prefix = first.path[:-1]
    deeper = [replace(one, path=(*prefix, *(node for node in one.path if node not in prefix))) for one in slow.causes]
    left = 1.0 - deeper[0].cause.confidence
    rest = [replace(one, cause=replace(one.cause, confidence=one.cause.confidence * left)) for one in answer.causes]
    return [*deeper, *(one for one in rest if all(one.node != each.node for each in deeper))], True


def _timed_out(told: Told, detail: Detail, began: int) -> float:
    """The share of the failed calls since it began that were given up waiting for."""
    now = detail.times > began
    counts = [0.0, 0.0]
    for row in detail.requests:
        if failed(row.labels) and row.labels.get("reporter") == reporter_of(told, detail):
            flags = row.labels.get("response_flags", "").split(",")
            late = "timeout" in kinds_of(flags) or row.labels.get("response_code") == "504" \
                or row.labels.get("grpc_response_status") == "4"  # fmt: skip
            counts[0] += float(row.grown[now].sum())
            counts[1] += float(row.grown[now].sum()) if late else 0.0
    return counts[1] / counts[0] if counts[0] > 0 else 0.0


def _onset(told: Told, detail: Detail, began: int) -> float:
    """As exactly as the cause's own series tell, the coarse one where they do not."""
    found = onset(detail, told.signal, began, reporter_of(told, detail))
    return float(began - MINUTE) if found is None else found


def _ranked_again(causes: Sequence[Told], near: Sequence[Change], moment: float) -> list[Told]:
    """Causes with what changed just before: such a change adds up to half to a cause's weight."""
    most = {name_of(one.node.service): max((bearing(each, moment) for each in near
                                            if each.service == name_of(one.node.service)), default=0.0)
            for one in causes}  # fmt: skip
    raised_ones = [
        replace(one, cause=replace(one.cause, confidence=raised(
            one.cause.confidence, near, name_of(one.node.service), moment)))
        for one in causes
    ]  # fmt: skip
    first = raised_ones[0].signal
    same = [one for one in raised_ones if one.signal == first]
    same.sort(key=lambda one: -one.weight * (1.0 + 0.5 * most[name_of(one.node.service)]))
    return [*same, *(one for one in raised_ones if one.signal != first)]


def _abstained(answer: Answer, times: np.ndarray[tuple[int], np.dtype[np.int64]], calls: Sequence[CallSeries],
               *, at: int, language: Language) -> Explained:  # fmt: skip
    nodes = accounts(calls)
    figures = _quiet_figures(nodes, answer.service, language)
    name = name_of(answer.service)
    known = int(np.isfinite([one.requests for one in nodes.values()]).any(axis=0).sum())
    if known < LEAST_WINDOW + LEAST_BEFORE:
        notes = [say(language, "few", known=known, needed=LEAST_WINDOW + LEAST_BEFORE)]
    else:
        last = min(WINDOW, max(LEAST_WINDOW, known // 2 - 1))
        looked = say(language, "quiet.looked", services=sum(one.caller is None for one in nodes),
                     ways=sum(one.caller is not None for one in nodes), minutes=last, before=known - last,
                     service=name, figures=figures)  # fmt: skip
        notes = [say(language, "quiet"), looked]
    notes += [_near(one, language) for one in answer.nearby]
    text = say(language, "quiet.told", service=name, figures=figures)
    context = Context(language, times, nodes, {}, float(at - WINDOW * MINUTE), at)
    told = [Segment(text if len(notes) > 1 else notes[0], context.series(Node(answer.service), "rate"))]
    told += [Segment(f" {_near(one, language)}", context.series(one.node, one.signal)) for one in answer.nearby]
    return Explained(
        answer.service[1], answer.service[0], None, None, at, notes=notes, abstained=True, explanation=told,
        language=language,
    )  # fmt: skip


def _near(told: Told, language: Language) -> str:
    """A service below that is not as usual, though that does not show above."""
    usual, now = valued(told.signal, told.usual), valued(told.signal, told.now)
    return say(
        language,
        "quiet.near",
        cause=told.node.name,
        figures=say(language, f"change.{told.signal}", usual=usual, now=now),
    )


def _quiet_figures(nodes: dict[Node, Account], service: Service, language: Language) -> str:
    own = nodes.get(Node(service)) or next(one for node, one in nodes.items() if node.service == service)
    late = slice(-WINDOW, None)
    requests, errors, spent = (float(np.nansum(row[late])) for row in (own.requests, own.errors, own.milliseconds))
    known = max(1, int(np.isfinite(own.requests[late]).sum()))
    failed, each = (errors / requests, spent / requests) if requests else (0.0, 0.0)
    return say(
        language,
        "quiet.figures",
        requests=f"{requests / known:.0f}",
        errors=percent(failed),
        latency=milliseconds(each),
    )
