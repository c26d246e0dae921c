"""What is put right in a trace before it is shown, in the order in which Jaeger's query service does it.

1. A server span that shares its id with a client span (Zipkin) gets an id of its own and becomes
   that client span's child. 2. Attributes are sorted by key, events by name. 3. Spans that became
   equal are one. 4. Clock skew is computed and, up to `max_skew_ns`, corrected; with the default
   of 0 it is only reported. 5. IPv4 addresses sent as integers are dotted. 6. Attributes of the
   telemetry library move to the resource. 7. Links that name no trace go.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from windvane.tracing.assembly import assemble
from windvane.tracing.duration import format_go_duration
from windvane.tracing.model import Attributes, AttributeValue, Span, Trace

_NO_TRACE = "0" * 32
_LIBRARY_KEYS = {
    "telemetry.sdk.language",
    "telemetry.sdk.name",
    "telemetry.sdk.version",
    "telemetry.distro.name",
    "telemetry.distro.version",
}
_ADDRESS_KEYS = ("ip", "peer.ipv4")
_WARNINGS_KEY = "@jaeger@warnings"


def adjust(trace: Trace, max_skew_ns: int = 0) -> Trace:
    """The trace as it is shown; what was found or changed is told in the spans' warnings."""
    spans: Iterable[Span] = (_lift_warnings(span) for span in trace.spans)
    spans = [_sort_contents(span) for span in _unique_server_ids(list(spans))]
    spans = correct_skew(assemble(spans)[0].spans, max_skew_ns)
    return Trace(trace.trace_id, tuple(_drop_empty_links(_move_library(_dot_addresses(span))) for span in spans))


def _lift_warnings(span: Span) -> Span:
    carried = span.attributes.get(_WARNINGS_KEY)
    if carried is None:
        return span
    texts = tuple(str(item) for item in carried) if isinstance(carried, list) else (str(carried),)
    rest = {key: value for key, value in span.attributes.items() if key != _WARNINGS_KEY}
    return replace(span, attributes=rest, warnings=span.warnings + texts)


def _unique_server_ids(spans: list[Span]) -> list[Span]:
    client_ids = {span.span_id for span in spans if span.kind == "Client"}
    shared = {span.span_id for span in spans if span.kind == "Server"} & client_ids
    if not shared:
        return spans
    used, renamed, free = {span.span_id for span in spans}, {}, 0
    for span_id in sorted(shared):
        free = next(number for number in range(free + 1, free + len(used) + 2) if f"{number:016x}" not in used)
        renamed[span_id] = f"{free:016x}"
    return [_rename(span, renamed) for span in spans]


def _rename(span: Span, renamed: Mapping[str, str]) -> Span:
    if span.kind == "Server" and span.span_id in renamed:
        return replace(span, span_id=renamed[span.span_id], parent_id=span.span_id)
    if span.parent_id in renamed:
        return replace(span, parent_id=renamed[span.parent_id])
    return span


def _sort_contents(span: Span) -> Span:
    maps = (span.attributes, span.resource, span.scope)
    if not span.events and not span.links and all(list(values) == sorted(values) for values in maps):
        return span  # copying every span is what a huge trace would wait for
    attributes, resource, scope = map(_sorted, maps)
    events = [replace(event, attributes=_sorted(event.attributes)) for event in span.events]
    return replace(
        span,
        attributes=attributes,
        resource=resource,
        scope=scope,
        events=tuple(sorted(events, key=lambda event: (event.name, event.time_ns))),
        links=tuple(replace(link, attributes=_sorted(link.attributes)) for link in span.links),
    )


def _sorted(attributes: Attributes) -> dict[str, AttributeValue]:
    return {key: attributes[key] for key in sorted(attributes)}


def correct_skew(spans: Iterable[Span], max_skew_ns: int) -> list[Span]:
    """Shift spans of other hosts into their parents, where the shift is at most `max_skew_ns`.

    A child that another host timed and that does not fit its parent is centred in it, as if the
    network took as long there as back; one that lasted longer than its parent only starts no
    sooner. The hosts' difference then also holds for the child's descendants on the same host.
    """
    ordered = list(spans)
    position: dict[str, int] = {}
    for index, span in enumerate(ordered):
        if span.span_id in position:
            ordered[index] = _warn(span, "duplicate span IDs; skipping clock skew adjustment")
        else:
            position[span.span_id] = index
    children: dict[int, list[int]] = {}
    roots: list[int] = []
    for index in position.values():
        parent_id = ordered[index].parent_id
        if parent_id in position:
            children.setdefault(position[parent_id], []).append(index)
            continue
        roots.append(index)
        if parent_id:
            missing = f"parent span ID={parent_id} is not in the trace; skipping clock skew adjustment"
            ordered[index] = _warn(ordered[index], missing)
    for root in roots:
        _walk(ordered, children, root, max_skew_ns)
    return ordered


def _walk(ordered: list[Span], children: Mapping[int, list[int]], root: int, max_skew_ns: int) -> None:
    pending = [(child, root, 0, _host(ordered[root])) for child in children.get(root, ())]
    while pending:
        index, parent, delta, host = pending.pop()
        own = _host(ordered[index])
        if own != host or not own:
            delta, host = _skew(ordered[index], ordered[parent]), own
        ordered[index] = _shift(ordered[index], delta, max_skew_ns)
        pending += [(child, index, delta, host) for child in children.get(index, ())]


def _host(span: Span) -> str:
    for key in ("host.id", "host.ip", "host.name"):
        value = span.resource.get(key)
        if isinstance(value, list) and value:
            return str(value[0])
        if isinstance(value, str):
            return value
    return ""


def _skew(child: Span, parent: Span) -> int:
    if child.duration_ns > parent.duration_ns:
        return max(0, parent.start_ns - child.start_ns)
    if child.start_ns >= parent.start_ns and child.end_ns <= parent.end_ns:
        return 0
    return parent.start_ns + (parent.duration_ns - child.duration_ns) // 2 - child.start_ns


def _shift(span: Span, delta: int, max_skew_ns: int) -> Span:
    if delta == 0:
        return span
    shown = format_go_duration(delta)
    if max_skew_ns == 0:
        return _warn(span, f"clock skew adjustment disabled; not applying calculated delta of {shown}")
    if abs(delta) > max_skew_ns:
        limit = format_go_duration(max_skew_ns)
        return _warn(
            span, f"max clock skew adjustment delta of {limit} exceeded; not applying calculated delta of {shown}"
        )
    events = tuple(replace(event, time_ns=event.time_ns + delta) for event in span.events)
    moved = replace(span, start_ns=span.start_ns + delta, events=events)
    return _warn(moved, f"This span's timestamps were adjusted by {shown}")


def _warn(span: Span, text: str) -> Span:
    return replace(span, warnings=(*span.warnings, text))


def _dot_addresses(span: Span) -> Span:
    dotted: dict[str, AttributeValue] = {}
    for key in _ADDRESS_KEYS:
        value = span.attributes.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and value and math.isfinite(value):
            dotted[key] = _dotted(int(value))
    return replace(span, attributes={**span.attributes, **dotted}) if dotted else span


def _dotted(number: int) -> str:
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def _move_library(span: Span) -> Span:
    moved = {key: value for key, value in span.attributes.items() if key in _LIBRARY_KEYS}
    if not moved:
        return span
    conflicts = [key for key, value in moved.items() if key in span.resource and span.resource[key] != value]
    for key in conflicts:
        span = _warn(span, f"conflicting values between Span and Resource for attribute {key}")
    kept = {key: value for key, value in span.attributes.items() if key not in moved or key in conflicts}
    resource = {**span.resource, **{key: value for key, value in moved.items() if key not in conflicts}}
    return replace(span, attributes=kept, resource=_sorted(resource))


def _drop_empty_links(span: Span) -> Span:
    links = tuple(link for link in span.links if link.trace_id and link.trace_id != _NO_TRACE)
    removed = len(span.links) - len(links)
    if not removed:
        return span
    return replace(span, links=links, warnings=span.warnings + ("Invalid span link removed",) * removed)
