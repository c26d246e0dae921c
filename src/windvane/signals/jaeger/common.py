"""What Jaeger's formats share: processes as resources, references as parent and links, logs as events."""

from __future__ import annotations

from typing import NamedTuple

from windvane.signals.spans.model import Event, Link, Tags, wrong

CHILD_OF, FOLLOWS_FROM = 0, 1
_NO_ID = b"\0" * 8


class Reference(NamedTuple):
    """A span that another refers to; ids of 16 and 8 bytes."""

    kind: int
    trace_id: bytes
    span_id: bytes


def resource_of(service: str, tags: Tags) -> Tags:
    """A process as resource attributes; `hostname` under OpenTelemetry's name."""
    resource = {"service.name": service, **tags} if service else dict(tags)
    if "hostname" in resource and "host.name" not in resource:
        resource["host.name"] = resource.pop("hostname")
    return resource


def parent_of(told: bytes, trace_id: bytes, references: list[Reference]) -> bytes:
    """The parent's id: as told, else the first of the same trace that is CHILD_OF, else FOLLOWS_FROM."""
    if told.strip(b"\0"):
        return told
    ours = [each for each in references if each.trace_id == trace_id and each.span_id != _NO_ID]
    by_kind = sorted(ours, key=lambda each: each.kind != CHILD_OF)
    return by_kind[0].span_id if by_kind else b""


def links_of(parent: bytes, trace_id: bytes, references: list[Reference]) -> list[Link]:
    """References that are more than the parent's id says."""
    return [
        Link(each.trace_id, each.span_id, {"opentracing.ref_type": "follows_from" if each.kind else "child_of"})
        for each in references
        if each.span_id != _NO_ID and each != (CHILD_OF, trace_id, parent)
    ]


def event_of(time: int, fields: Tags) -> Event:
    """A log entry; its field `event` is the event's name, or else its `message`, which stays a field."""
    name = fields.pop("event", fields.get("message", ""))
    return Event(time, str(name), fields)


def started(time: int) -> int:
    """A start that is one: the formats require it."""
    if time <= 0:
        raise wrong("start time", time, "a time after 1970")
    return time
