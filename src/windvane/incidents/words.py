"""Incidents in plain words: titles, severity, the summary of a notification. Pure."""

from __future__ import annotations

from windvane.incidents.values import Anomaly, Incident, Severity

PAGE_FAILED = 0.05
PAGE_SLOWER = 3.0
PAGE_FEWER = 0.3
PAGE_SERVICES = 3
"""What wakes somebody up: one request in twenty fails, answers take three times as long, seven of ten requests are
gone, or three services are affected. Anything less can wait for office hours."""


def severity(anomalies: tuple[Anomaly, ...]) -> Severity:
    """page where users suffer now, else ticket."""
    services = {one.node for one in anomalies}
    return "page" if len(services) >= PAGE_SERVICES or any(map(_grave, anomalies)) else "ticket"


def _grave(one: Anomaly) -> bool:
    if one.signal == "errors":
        return one.seen is not None and one.seen >= PAGE_FAILED
    return one.factor >= PAGE_SLOWER if one.signal == "latency" else one.factor <= PAGE_FEWER


def subject(one: Anomaly) -> str:
    """What is odd, by its name."""
    scope = one.scope
    match scope.kind:
        case "version":
            return f"{scope.service} version {scope.detail}"
        case "workload":
            return f"{scope.service} on workload {scope.detail}"
        case "operation":
            return f"{scope.service} {scope.detail}"
        case "edge":
            return f"calls from {scope.detail.partition('.')[0]} to {scope.service}"
        case "service":
            return scope.service


def departure(one: Anomaly) -> str:
    """How it is odd, as the end of a sentence about it."""
    plural = one.scope.kind == "edge"
    if one.signal == "errors":
        return _failing(one, "fail" if plural else "fails")
    if one.signal == "latency":
        seen = "" if one.seen is None else f" in {duration(one.seen)}"
        usual = "the usual" if one.expected is None else f"the usual {duration(one.expected)}"
        return f"{'are answered' if plural else 'answers'}{seen}, {one.factor:.1f} times {usual}"
    seen = "fewer requests" if one.seen is None else f"{one.seen:.3g} requests a minute"
    usual = "the usual" if one.expected is None else f"the usual {one.expected:.3g}"
    return f"{'are' if plural else 'gets'} {seen}, {share(one.factor)} of {usual}"


def _failing(one: Anomaly, verb: str) -> str:
    if one.seen is None:
        return f"{verb}, {one.factor:.3g} times as often as may be"
    allowed = "" if one.expected is None else f" ({share(one.expected)} may)"
    return f"{verb} {share(one.seen)} of requests{allowed}"


def share(value: float) -> str:
    """A share as a percentage of two digits."""
    return f"{100 * value:.2g} %" if value < 0.995 else "100 %"


def duration(ms: float) -> str:
    """Milliseconds as people say them."""
    return f"{ms / 1_000:.3g} s" if ms >= 1_000 else f"{ms:.3g} ms"


def title(anomalies: tuple[Anomaly, ...]) -> str:
    """One line: what leads, how it is odd, and how many suffer with it."""
    leading = anomalies[0]
    others = len({one.node for one in anomalies} - {leading.node})
    more = "" if not others else f"; {others} more service{'' if others == 1 else 's'} affected"
    text = f"{subject(leading)} {departure(leading)}{more}"
    return text[:1].upper() + text[1:] if leading.scope.kind == "edge" else text


def named(one: Anomaly) -> str:
    """A signal of a scope, as events tell of it."""
    return f"{one.signal} of {subject(one)}"


def description(one: Incident) -> str:
    """The paragraph of a notification: what root cause analysis said where it said something, else what is odd."""
    why = one.why or {}
    segments = why.get("explanation") or []
    text = "".join(str(each.get("text", "")) for each in segments) if isinstance(segments, list) else str(segments)
    if not text:
        causes = why.get("causes") or []
        text = f"Likeliest cause: {causes[0]['text']}." if causes else ""
    odd = "; ".join(f"{subject(each)} {departure(each)}" for each in one.anomalies[:5])
    changes = " ".join(f"Shortly before: {each.text}." for each in one.changes[:2] if each.at <= one.start)
    return " ".join(part for part in (text, f"What is odd: {odd}.", changes) if part)
