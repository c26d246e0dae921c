"""Evidence from series: the gap on the way, flags and codes, versions and pods, demand and retries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from windvane.analytics.accounts import Node
from windvane.analytics.explain.context import Context, name, reporter_of
from windvane.analytics.explain.detail import Key, Part, parts
from windvane.analytics.explain.flags import FLAGS, code_words, flags_of
from windvane.analytics.explain.model import Evidence, Only
from windvane.analytics.explain.words import milliseconds, say, valued
from windvane.analytics.explain.words import share as percent
from windvane.analytics.mesh_series import name_of
from windvane.analytics.releases.read import failed
from windvane.analytics.why import Told, joined
from windvane.promql.quoting import quote

FEW = 5.0
"""Calls below which nothing is said of a part of them."""
TOLD = 3
SIGMAS = 3.0
_FLAGGED = 0.1
"""Share of the calls in question that a flag must be on to be told."""
_CONCENTRATED = 0.8
_SAME, _REST = 0.4, 0.15

_LABELS: Mapping[str, Callable[[Mapping[str, str]], str]] = {
    "version": lambda labels: labels.get("destination_version") or labels.get("destination_canonical_revision", ""),
    "workload": lambda labels: labels.get("destination_workload", ""),
    "pod": lambda labels: labels.get("pod", ""),
}
_PROMQL = {"version": "destination_canonical_revision", "workload": "destination_workload", "pod": "pod"}


def figures(told: Told, context: Context) -> str:
    """Usual and present value in words."""
    signal = told.signal
    return say(context.language, f"change.{signal}", usual=valued(signal, told.usual), now=valued(signal, told.now))


def series(told: Told, context: Context) -> Evidence:
    """The cause's own series."""
    node = told.node if told.kind != "unreachable" else Node(told.node.service, told.node.caller)
    return Evidence("series", say(context.language, "series", cause=node.name, figures=figures(told, context)),
                    context.onset, context.series(node, told.signal))  # fmt: skip


def edge(told: Told, context: Context) -> Iterator[Evidence]:
    """What the caller sees and the callee does not, and who else sees it."""
    caller, detail = told.node.caller, context.details.get(told.node.service)
    if caller is None or detail is None or told.signal == "rate":
        return
    before, now = context.before(detail), context.now(detail)
    sides = [parts(detail, before, now, caller_of, side) for side in ("source", "destination")]
    key = (caller[1],) if (caller[1],) in sides[0] else None
    if key is None:
        return
    source, own = sides[0][key], sides[1].get(key)
    said = {"caller": name_of(caller), "cause": name_of(told.node.service)}
    if told.signal == "latency" and own is not None:
        way = [max(0.0, source.of("latency", when) - own.of("latency", when)) for when in (0, 1)]
        text = say(context.language, "edge", way=milliseconds(way[1]), usual=milliseconds(way[0]), **said)
    elif told.signal == "errors":
        seen = percent(own.of("errors", 1)) if own is not None and own.calls[1] >= FEW else "0"
        text = say(context.language, "edge.errors", now=percent(source.of("errors", 1)), own=seen, **said)
    else:
        return
    yield Evidence("edge", text, context.onset, context.series(told.node, told.signal))
    yield from _others(told, context, sides[0], key)


def refuted(told: Told, context: Context) -> bool:
    """Whether a way is no cause after all: of these very calls the callee's proxy tells nearly the same."""
    caller, detail = told.node.caller, context.details.get(told.node.service)
    if told.kind != "way" or caller is None or detail is None:
        return False
    before, now = context.before(detail), context.now(detail)
    source, own = (parts(detail, before, now, caller_of, side).get((caller[1],)) for side in ("source", "destination"))
    if source is None or own is None or own.calls[1] < FEW or source.calls[1] < FEW:
        return False
    rose = [one.of(told.signal, 1) - one.of(told.signal, 0) for one in (source, own)]
    return rose[0] > 0 and rose[0] - rose[1] < _REST * rose[0]


def answered(causes: Sequence[Told], context: Context) -> list[Told]:
    """Causes in which a way whose failures the callee answered itself is the callee.

    A proxy that makes up an answer (no connection, a timeout, a full breaker) flags it; a failure without a flag came
    from the other end, even where the other end's own report is missing or late.
    """
    found: dict[tuple[Node, str], Told] = {}
    for one in causes:
        own = one if not _from_callee(one, context) else replace(one, node=Node(one.node.service), kind="service")
        known = found.get((own.node, own.kind))
        found[own.node, own.kind] = own if known is None else joined(known, own)
    return list(found.values())


def _from_callee(told: Told, context: Context) -> bool:
    caller, detail = told.node.caller, context.details.get(told.node.service)
    if told.kind != "way" or told.signal != "errors" or caller is None or detail is None:
        return False
    now, counts = context.now(detail), [0.0, 0.0]
    for row in detail.requests:
        if row.labels.get("reporter") == "source" and failed(row.labels) and _of_way(row.labels, told):
            plain = not flags_of(row.labels.get("response_flags", "")) and row.labels.get("response_code") != "0"
            counts[plain] += float(row.grown[now].sum())
    return counts[1] >= 1.0 and counts[1] > counts[0]


def _others(told: Told, context: Context, seen: Mapping[Key, Part], key: Key) -> Iterator[Evidence]:
    """Whether the other callers of the service see the same."""
    rose = {one: part.of(told.signal, 1) - part.of(told.signal, 0) for one, part in seen.items()
            if min(part.calls) >= FEW and one != ("",)}  # fmt: skip
    if len(rose) < 2 or key not in rose:
        return
    same = [one for one, by in rose.items() if by >= _SAME * rose[key]]
    if len(same) == len(rose):
        text = say(context.language, "edge.all", count=len(rose), cause=name(told.node))
    elif all(by <= _REST * rose[key] for one, by in rose.items() if one != key):
        text = say(context.language, "edge.one", cause=name(told.node), caller=name_of(told.node.caller or ("", "")))
    else:
        return
    yield Evidence("edge", text, context.onset, context.series(told.node, told.signal))


def caller_of(labels: dict[str, str]) -> Key:
    return (labels.get("source_canonical_service", ""),)


def flag_counts(told: Told, context: Context) -> dict[str, float]:
    """Calls since the onset with each flag, where clearly more than before: as callers' proxies tell, else its own.

    Of failures only the flags of calls that failed count; a flag on few of the calls in question is left out.
    """
    detail = context.details.get(told.node.service)
    if detail is None or told.signal == "rate":
        return {}
    before, now = context.before(detail), context.now(detail)
    scale = detail.span(now) / max(1, detail.span(before))
    for side in ("source", "destination"):
        all_, counts = 0.0, dict[str, list[float]]()
        for row in detail.requests:
            if row.labels.get("reporter") != side or not _of_way(row.labels, told):
                continue
            if told.signal == "errors" and not failed(row.labels):
                continue
            usual, present = scale * float(row.grown[before].sum()), float(row.grown[now].sum())
            all_ += present
            for flag in flags_of(row.labels.get("response_flags", "")):
                pair = counts.setdefault(flag, [0.0, 0.0])
                pair[0], pair[1] = pair[0] + usual, pair[1] + present
        more = {flag: present - usual for flag, (usual, present) in counts.items()
                if present - usual >= max(1.0, SIGMAS * usual**0.5, _FLAGGED * all_)}  # fmt: skip
        if more:
            return dict(sorted(more.items(), key=lambda one: -one[1]))
    return {}


def _of_way(labels: Mapping[str, str], told: Told) -> bool:
    caller = told.node.caller
    return told.kind != "way" or caller is None or labels.get("source_canonical_service") == caller[1]


def flags(told: Told, context: Context, counts: Mapping[str, float]) -> Iterator[Evidence]:
    """The most frequent flags with what they mean and suggest."""
    for flag, count in list(counts.items())[:TOLD]:
        meaning, look = meaning_of(flag, told, context)
        text = say(context.language, "flag", flag=flag, count=round(count), meaning=meaning, look=look)
        own = service_query(told, context, f'response_flags=~"(.*,)?{flag}(,.*)?"')
        yield Evidence("flags", text, context.onset, context.query(own))


def meaning_of(flag: str, told: Told, context: Context) -> tuple[str, str]:
    """What a flag means and suggests; a service's own proxy that makes no connection speaks of the application."""
    detail = context.details.get(told.node.service)
    if flag == "UF" and detail is not None and told.kind != "way":
        own = any(one.labels.get("reporter") == "destination" and flag in flags_of(one.labels.get("response_flags", ""))
                  and float(one.grown[context.now(detail)].sum()) >= 1 for one in detail.requests)  # fmt: skip
        if own:
            return say(context.language, "own.UF"), say(context.language, "own.UF.look")
    return FLAGS[flag].words(context.language) if flag in FLAGS else (flag, "Envoy")


def service_query(told: Told, context: Context, *more: str) -> str:
    """The rate of a service's calls as callers see them, with further matchers."""
    chosen = ",".join([*context.matchers(Node(told.node.service, told.node.caller))[1:], *more])
    return f"sum(rate(istio_requests_total{{{chosen}}}[2m]))"


def codes(told: Told, context: Context) -> Iterator[Evidence]:
    """Codes that became more frequent."""
    detail = context.details.get(told.node.service)
    if detail is None or told.signal != "errors":
        return
    reporter = reporter_of(told, detail)
    found = parts(detail, context.before(detail), context.now(detail),
                  lambda labels: (labels.get("response_code", ""), labels.get("grpc_response_status", ""),
                                  "1" if failed(labels) else ""), reporter)  # fmt: skip
    totals = [sum(one.calls[when] for one in found.values()) or 1.0 for when in (0, 1)]
    rose = sorted(
        ((one.calls[1] / totals[1] - one.calls[0] / totals[0], key, one) for key, one in found.items() if key[2]),
        key=lambda each: -each[0],
    )
    for by, (code, grpc, _), one in rose[:TOLD]:
        if by <= 0 or one.calls[1] < 1:
            continue
        text = say(context.language, "codes", code=code_words(code, grpc, context.language),
                   now=percent(one.calls[1] / totals[1]), usual=percent(one.calls[0] / totals[0]))  # fmt: skip
        more = f"response_code={quote(code)}" + (f",grpc_response_status={quote(grpc)}" if grpc else "")
        yield Evidence("codes", text, context.onset, context.query(service_query(told, context, more)))


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Only a part of a service is concerned; `moved`: it always was so, but gets more of the calls (`shares`)."""

    only: Only
    now: float
    rest: float
    moved: bool = False
    shares: tuple[float, float] = (0.0, 0.0)


def narrowed(told: Told, context: Context) -> Narrowed | None:
    """The one version, workload or pod that is to blame, where others of the service are fine."""
    detail = context.details.get(told.node.service)
    if detail is None or told.signal == "rate":
        return None
    for by, label in _LABELS.items():
        found = parts(detail, context.before(detail), context.now(detail),
                      lambda labels, label=label: (label(labels),), reporter_of(told, detail))  # type: ignore[misc]  # fmt: skip
        found = {key: one for key, one in found.items() if max(one.calls) >= FEW and key not in (("",), ("unknown",))}
        if len(found) >= 2 and (one := _worse(by, found, told.signal) or _moved(by, found, told.signal)):
            return one
    return None


def _worse(by: str, found: Mapping[Key, Part], signal: str) -> Narrowed | None:
    """The part that has nearly all of the excess."""
    usual = {
        key: one.of(signal, 0) if one.calls[0] >= FEW else _of_rest(found, key, signal, 0) for key, one in found.items()
    }
    excess = {key: max(0.0, one.of(signal, 1) - usual[key]) * one.calls[1] for key, one in found.items()}
    worst = max(excess, key=lambda key: excess[key])
    total = sum(excess.values())
    now, rest, before = found[worst].of(signal, 1), _of_rest(found, worst, signal, 1), _of_rest(found, worst, signal, 0)
    others = sum(one.calls[1] for key, one in found.items() if key != worst)
    if total <= 0 or excess[worst] < _CONCENTRATED * total or others < FEW or found[worst].calls[1] < FEW:
        return None
    if rest > before + _REST * (now - usual[worst]):
        return None
    return Narrowed(Only(by, worst[0]), now, rest)


def _moved(by: str, found: Mapping[Key, Part], signal: str) -> Narrowed | None:
    """The part that was always worse and got more of the calls, where that explains most of the change."""
    calls = [sum(one.calls[when] for one in found.values()) for when in (0, 1)]
    if min(calls) <= 0 or any(one.calls[0] < FEW for one in found.values()):
        return None
    overall = [sum(one.of(signal, when) * one.calls[when] for one in found.values()) / calls[when] for when in (0, 1)]
    by_mix = {key: (one.calls[1] / calls[1] - one.calls[0] / calls[0]) * (one.of(signal, 0) - overall[0])
              for key, one in found.items()}  # fmt: skip
    most = max(by_mix, key=lambda key: by_mix[key])
    one = found[most]
    if overall[1] <= overall[0] or sum(by_mix.values()) < 0.5 * (overall[1] - overall[0]) or one.calls[1] < FEW:
        return None
    if one.calls[1] / calls[1] <= one.calls[0] / calls[0]:
        return None
    shares = (one.calls[0] / calls[0], one.calls[1] / calls[1])
    return Narrowed(Only(by, most[0]), one.of(signal, 1), _of_rest(found, most, signal, 1), True, shares)


def _of_rest(found: Mapping[Key, Part], without: Key, signal: str, when: int) -> float:
    rest = [one for key, one in found.items() if key != without]
    calls = sum(one.calls[when] for one in rest)
    return sum(one.of(signal, when) * one.calls[when] for one in rest) / calls if calls > 0 else 0.0


def only_words(told: Told, one: Narrowed, context: Context, place: str) -> str:
    """What is narrowed down, as evidence or (`.told`) in the paragraph."""
    values = {
        "by": say(context.language, f"by.{one.only.by}"),
        "value": one.only.value,
        "now": valued(told.signal, one.now),
    }
    if one.moved:
        return say(
            context.language, f"mix{place}", usual=percent(one.shares[0]), share=percent(one.shares[1]), **values
        )
    return say(context.language, f"only{place}", rest=valued(told.signal, one.rest), **values)


def only_evidence(told: Told, one: Narrowed, context: Context) -> Evidence:
    """The part's own series."""
    more = f"{_PROMQL[one.only.by]}={quote(one.only.value)}"
    return Evidence("version", only_words(told, one, context, ""), context.onset,
                    context.series(told.node, told.signal, more))  # fmt: skip
