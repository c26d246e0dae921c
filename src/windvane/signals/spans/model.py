"""A span as readers of Zipkin's and Jaeger's formats hand it over, and what is wrong with one that is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from windvane.signals.refusals import RefusedError

Value: TypeAlias = str | bool | int | float | bytes
Tags: TypeAlias = dict[str, Value]

UNSPECIFIED, INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = range(6)
KINDS = {"internal": INTERNAL, "server": SERVER, "client": CLIENT, "producer": PRODUCER, "consumer": CONSUMER}
"""OTLP's span kinds by the words of OpenTracing's `span.kind`."""

LATEST_US = ((1 << 63) - 1) // 1_000
"""The last microsecond since the epoch that the store's time has room for."""

MOST_SPANS = 100_000
"""In one request: senders batch hundreds to thousands, and a request of empty spans is an attack."""
MOST_PARTS = 100_000
"""Tags, events, references and their fields of one span together."""


@dataclass(slots=True)
class Event:
    """Something that happened at `time` (ns since the epoch)."""

    time: int
    name: str
    tags: Tags = field(default_factory=dict)


@dataclass(slots=True)
class Link:
    """Another span that this one refers to; ids of 16 and 8 bytes."""

    trace_id: bytes
    span_id: bytes
    tags: Tags = field(default_factory=dict)


@dataclass(slots=True)
class Span:
    """One span. Ids have 16 and 8 bytes, `parent_id` may be empty; times are ns since the epoch.

    `tags` are as sent: what they say that OTLP has fields for is taken out of them by
    `windvane.signals.spans.tags`. With `http_status`, a status that no tag tells follows from HTTP's.
    """

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    name: str
    kind: int
    start: int
    end: int
    tags: Tags
    resource: Tags
    events: list[Event]
    links: list[Link]
    http_status: bool = False


def wrong(field_name: str, value: Any, wanted: str) -> RefusedError:
    """The refusal of a span for one field; ids are counted apart, being what senders get wrong."""
    shown = repr(value)
    reason = "invalid_id" if field_name.lower().endswith("id") else "invalid_field"
    return RefusedError(reason, f"{field_name} is {shown[:40]}{'…' * (len(shown) > 40)}, expected {wanted}")


def enough(parts: int, of: str) -> None:
    """`RefusedError` when one span has more than `MOST_PARTS`."""
    if parts > MOST_PARTS:
        raise RefusedError("invalid_field", f"the {of} has more than {MOST_PARTS} parts")


def microseconds(value: Any, name: str) -> int:
    """Nanoseconds of a time or a length in microseconds, given as a number or as digits; 0 for None.

    Less than nothing counts as nothing: clocks of senders step back.
    """
    if value is None:
        return 0
    try:
        whole = int(value)
    except (TypeError, ValueError, OverflowError):
        raise wrong(name, value, "microseconds") from None
    if isinstance(value, bool) or whole > LATEST_US:
        raise wrong(name, value, f"microseconds up to {LATEST_US}")
    return max(0, whole) * 1_000


def trace_id_of(raw: bytes, name: str = "trace id") -> bytes:
    """16 bytes of an id of 8 or 16; zeros are no id."""
    if len(raw) not in (8, 16) or not raw.strip(b"\0"):
        raise wrong(name, raw.hex(), "8 or 16 bytes that are not all zero")
    return raw.rjust(16, b"\0")


def span_id_of(raw: bytes, name: str = "span id") -> bytes:
    """8 bytes that are not all zero."""
    if len(raw) != 8 or not raw.strip(b"\0"):
        raise wrong(name, raw.hex(), "8 bytes that are not all zero")
    return raw


def parent_id_of(raw: bytes, own: bytes, name: str = "parent id") -> bytes:
    """8 bytes, or none for zeros; a span is not its own parent."""
    if not raw.strip(b"\0") or raw == own:
        return b""
    if len(raw) != 8:
        raise wrong(name, raw.hex(), "8 bytes")
    return raw
