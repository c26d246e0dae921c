"""Random spans and random queries for tests of TraceQL."""

from __future__ import annotations

import random

from windvane.tracing.model import Event, Link, Span

T0 = 1_790_000_000 * 10**9
SECOND = 10**9
SERVICES = ["cart", "front", "pay", ""]
NAMES = ["GET /", "POST /buy", "query", "it's"]


def random_spans(rng: random.Random, traces: int = 12, most: int = 8) -> list[Span]:
    """Spans of a few traces, most of them trees; some parents were never received."""
    spans: list[Span] = []
    for number in range(traces):
        trace_id, own = f"{number + 1:032x}", []
        for _ in range(rng.randint(1, most)):
            parent = rng.choice(own)[0] if own and rng.random() < 0.8 else rng.choice(["", "", "f" * 16])
            span_id = f"{len(spans) + 1:016x}"
            own.append((span_id, parent))
            spans.append(_span(rng, trace_id, span_id, parent))
    return spans


def _span(rng: random.Random, trace_id: str, span_id: str, parent: str) -> Span:
    service = rng.choice(SERVICES)
    start = T0 + rng.randrange(600) * SECOND // 10
    values = [1, 2, 500, "500", 2.0, 500.0, 0.1, True, False, "a", "b", "", "x'y\\z", ["a", "b"], [1, 2], 1 << 60, -0.0]
    attributes = {key: rng.choice(values) for key in ("a", "b", "http.status_code") if rng.random() < 0.6}
    return Span(
        trace_id=trace_id, span_id=span_id, parent_id=parent, name=rng.choice(NAMES),
        kind=rng.choice(["Server", "Client", "Internal", "Unspecified"]), service=service,
        start_ns=start, duration_ns=rng.choice([0, 1, 1_000_000, 2_000_000, 5_000_000, 1_500_000_000]),
        status=rng.choice(["Unset", "Ok", "Error"]), status_message=rng.choice(["", "boom"]),
        scope_name=rng.choice(["", "envoy"]), scope_version=rng.choice(["", "1.2"]),
        attributes=attributes,
        resource={"zone": rng.choice(["a", "b"]), **({"service.name": service} if service else {}),
                  **({"a": rng.choice([1, "a"])} if rng.random() < 0.3 else {})},
        scope={"lib": rng.choice(["x", "y"])} if rng.random() < 0.5 else {},
        events=tuple(Event(start + rng.randrange(5) * 10**6, rng.choice(["exception", "log"]),
                           {"level": rng.choice(["warn", "info", 3])} if rng.random() < 0.7 else {})
                     for _ in range(rng.choice([0, 0, 1, 2]))),
        links=tuple(Link("c" * 32, f"{rng.randrange(3):016x}", "", {"why": rng.choice(["retry", "batch"])})
                    for _ in range(rng.choice([0, 0, 1]))),
    )  # fmt: skip


FIELDS = [
    ".a", "span.a", "span.b", "resource.a", "resource.zone", "resource.service.name", ".service.name",
    "span.http.status_code", "event.level", "link.why", "instrumentation.lib", "name", "status", "statusMessage",
    "kind", "duration", "span:id", "span:parentID", "trace:id", "trace:duration", "trace:rootName", "trace:rootService",
    "span:childCount", "event:name", "event:timeSinceStart", "link:spanID", "instrumentation:name",
    "instrumentation:version", "nestedSetParent", "nestedSetLeft", "span.missing",
]  # fmt: skip
_TEXTS = {
    "name": NAMES, "statusMessage": ["", "boom"], "span:id": [f"{3:016x}", f"{5:016x}"],
    "span:parentID": ["", f"{1:016x}"],
    "trace:id": [f"{2:032x}", f"{3:032x}"], "trace:rootName": NAMES, "trace:rootService": SERVICES,
    "event:name": ["exception", "none"], "link:spanID": [f"{1:016x}", f"{2:016x}"],
    "instrumentation:name": ["", "envoy"],
    "instrumentation:version": ["1.2", ""],
}  # fmt: skip
_NUMBERS = {
    "duration": ["1ms", "2ms", "1000000", "0.5", "1h"], "trace:duration": ["1s", "10s", "30s"],
    "span:childCount": ["0", "1"], "event:timeSinceStart": ["1ms", "0", "3ms"], "nestedSetParent": ["0", "-1", "1"],
    "nestedSetLeft": ["0", "1", "3"],
}  # fmt: skip
_ANY = ['"a"', '"500"', '""', "500", "2", "2.0", "0.1", "0", "true", "false", "1152921504606846976", '"x\'y\\\\z"']


def random_condition(rng: random.Random, depth: int = 2) -> str:
    """An expression of TraceQL that passes the checks."""
    roll = rng.random()
    if depth and roll < 0.35:
        left, right = random_condition(rng, depth - 1), random_condition(rng, depth - 1)
        return f"({left} {rng.choice(['&&', '||'])} {right})"
    if depth and roll < 0.45:
        return f"!({random_condition(rng, depth - 1)})"
    if roll < 0.5:
        return rng.choice(
            ["true", ".b", "!.b", "span.a", ".missing", "span.a = span.b", "span.a + 1 = 3", "2 > span.b"]
        )
    field = rng.choice(FIELDS)
    if "." in field.split(":")[0] and rng.random() < 0.15:
        return f"{field} {rng.choice(['=', '!='])} nil"
    return _comparison(rng, field)


def _comparison(rng: random.Random, field: str) -> str:
    order = ["=", "!=", "<", "<=", ">", ">="]
    if field == "status":
        return f"status {rng.choice(['=', '!='])} {rng.choice(['ok', 'error', 'unset'])}"
    if field == "kind":
        return f"kind {rng.choice(['=', '!='])} {rng.choice(['server', 'client', 'unspecified'])}"
    if field in _NUMBERS:
        return f"{field} {rng.choice(order)} {rng.choice(_NUMBERS[field])}"
    if rng.random() < 0.25:
        return f"{field} {rng.choice(['=~', '!~'])} {rng.choice(_REGEXES)}"
    if field in _TEXTS:
        text = rng.choice(_TEXTS[field]).replace("\\", "\\\\")
        return f'{field} {rng.choice(order)} "{text}"'
    value = rng.choice([*_ANY, '"cart"', '"front"', '"b"', '"warn"', '"retry"', '"x"'])
    equal_only = value in ("true", "false")
    return f"{field} {rng.choice(['=', '!='] if equal_only else order)} {value}"


_REGEXES = ['"a|b"', '".*"', '".+"', '"c.*t"', '"(?i)GET.*"', '"500"', '"cart|front"', '"warn|info"', '""']

OPERATORS = ["&&", "||", ">>", "<<", ">", "<", "~", "!>>", "!<<", "!>", "!<", "!~", "&>>", "&<<", "&>", "&<", "&~"]


def random_pipeline(rng: random.Random) -> str:
    """A search."""
    return " | ".join([_spanset(rng, 2), *(_stage(rng) for _ in range(rng.choice([0, 0, 1, 2])))])


def _stage(rng: random.Random) -> str:
    return rng.choice([
        f"{{ {random_condition(rng, 1)} }}", f"count() {rng.choice(['>', '=', '<'])} {rng.randint(0, 3)}",
        "by(resource.service.name)", "by(span.a) | coalesce()", "max(duration) >= 2ms", "avg(span.a) > 1",
        "sum(duration) - min(duration) > 1ms", "select(span.a, name, status)", "by(name) | count() > 1",
    ])  # fmt: skip


def _spanset(rng: random.Random, depth: int) -> str:
    if depth and rng.random() < 0.45:
        left, right = _spanset(rng, depth - 1), _spanset(rng, depth - 1)
        return f"({left} {rng.choice(OPERATORS)} {right})"
    return f"{{ {random_condition(rng)} }}"
