"""Traces as typed values: what a reader of telemetry works with, whatever the store's columns are.

Times are nanoseconds since the epoch, ids are lower-case hex (32 characters a trace, 16 a span),
attribute values have their OTLP types again. Values are frozen: an adjuster returns new spans.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

AttributeValue = str | bool | int | float | bytes | list["AttributeValue"] | dict[str, "AttributeValue"] | None
Attributes = Mapping[str, AttributeValue]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened within a span."""

    time_ns: int
    name: str
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """A span of the same or another trace that this one relates to, without being its child."""

    trace_id: str
    span_id: str
    trace_state: str = ""
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """One operation of one service.

    `kind` is Server, Client, Internal, Producer, Consumer or Unspecified; `status` is Unset, Ok
    or Error; `parent_id` is empty for a root. `warnings` tell what an adjuster found or changed.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    service: str
    start_ns: int
    duration_ns: int
    status: str = "Unset"
    status_message: str = ""
    trace_state: str = ""
    scope_name: str = ""
    scope_version: str = ""
    scope: Attributes = field(default_factory=dict)
    resource: Attributes = field(default_factory=dict)
    attributes: Attributes = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    links: tuple[Link, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def end_ns(self) -> int:
        return self.start_ns + self.duration_ns


@dataclass(frozen=True, slots=True)
class Trace:
    """The spans of one trace id, in the order of their start (then of their id)."""

    trace_id: str
    spans: tuple[Span, ...]

    @property
    def start_ns(self) -> int:
        return min(span.start_ns for span in self.spans)

    @property
    def duration_ns(self) -> int:
        return max(span.end_ns for span in self.spans) - self.start_ns

    def roots(self) -> tuple[Span, ...]:
        """Spans whose parent is empty or was never received."""
        known = {span.span_id for span in self.spans}
        return tuple(span for span in self.spans if span.parent_id not in known)

    def children(self) -> dict[str, tuple[Span, ...]]:
        """Spans by the id of their parent, each group in the trace's order."""
        groups: dict[str, list[Span]] = {}
        for span in self.spans:
            groups.setdefault(span.parent_id, []).append(span)
        return {parent: tuple(spans) for parent, spans in groups.items()}
