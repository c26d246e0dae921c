"""Spans as an OTLP export request (opentelemetry-proto, trace.proto), grouped by resource and scope.

Most tags of a service's spans repeat, so their encoded form is kept: that is two thirds of the time.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from windvane.kit.errors import BadInputError, LimitError
from windvane.signals.otlp.wire import block, double, integer, varint
from windvane.signals.refusals import Refusals, RefusedError
from windvane.signals.spans.model import MOST_SPANS, Event, Link, Span, Tags, Value
from windvane.signals.spans.tags import UNSET, Lifted, lift

_MOST_KEPT, _SHORT = 16_384, 256
_TIMES = struct.Struct("<BQBQ").pack  # fields 7 and 8, both fixed64
_SIZES = tuple(varint(size) for size in range(1_024))
_T = TypeVar("_T")
_kept: dict[tuple[str, Value], bytes] = {}


@dataclass(slots=True)
class Translated:
    """A request in OTLP, how many spans it holds, and which of those sent it does not."""

    payload: bytes = b""
    spans: int = 0
    refusals: Refusals = field(default_factory=Refusals)

    @property
    def received(self) -> int:
        return self.spans + len(self.refusals)


def translated(items: Iterable[_T], read: Callable[[_T], Sequence[Span]], most: int = MOST_SPANS) -> Translated:
    """The request of all items' spans; an item that `read` refuses leaves the others as they are.

    `LimitError` when there are more than `most` items; `BadInputError` when an item's bytes are malformed.
    """
    batches = _Batches()
    made = Translated()
    for index, item in enumerate(items):
        if index == most:
            raise LimitError(f"a request of more than {most} spans")
        try:
            for span in read(item):
                batches.add(span)
                made.spans += 1
        except RefusedError as error:
            made.refusals.add(RefusedError(error.reason, f"span {index}: {error.message}"))
        except BadInputError as error:
            raise BadInputError(f"span {index}: {error.message}") from None
    made.payload = batches.request()
    return made


class _Batches:
    def __init__(self) -> None:
        self._spans: dict[tuple[bytes, bytes], list[bytes]] = {}

    def add(self, span: Span) -> None:
        told = lift(span)
        scope = b""
        if told.scope:
            scope = block(1, _utf8(told.scope)) + block(2, _utf8(told.scope_version))
        resource = _attributes(b"\x0a", span.resource)
        self._spans.setdefault((resource, scope), []).append(_block(b"\x12", _encoded(span, told)))

    def request(self) -> bytes:
        parts = []
        for (resource, scope), spans in self._spans.items():
            scoped = block(1, scope) + b"".join(spans)
            parts.append(block(1, block(1, resource) + block(2, scoped)))
        return b"".join(parts)


def _encoded(span: Span, told: Lifted) -> bytes:
    parts = [b"\x0a\x10", span.trace_id, b"\x12\x08", span.span_id]
    if span.parent_id:
        parts += (b"\x22\x08", span.parent_id)
    parts += (_block(b"\x2a", _utf8(span.name)), _TIMES(0x39, span.start, 0x41, span.end))
    if told.kind:
        parts.append(b"\x30" + _SIZES[told.kind])
    parts.append(_attributes(b"\x4a", span.tags))
    parts += [_block(b"\x5a", _event(event)) for event in span.events]
    parts += [_block(b"\x6a", _link(link)) for link in span.links]
    if told.status != UNSET or told.message:
        parts.append(block(15, block(2, _utf8(told.message)) + integer(3, told.status)))
    if told.trace_state:
        parts.append(block(3, _utf8(told.trace_state)))
    return b"".join(parts)


def _event(event: Event) -> bytes:
    return b"\x09" + event.time.to_bytes(8, "little") + block(2, _utf8(event.name)) + _attributes(b"\x1a", event.tags)


def _link(link: Link) -> bytes:
    return b"\x0a\x10" + link.trace_id + b"\x12\x08" + link.span_id + _attributes(b"\x22", link.tags)


def _attributes(tag: bytes, tags: Tags) -> bytes:
    """Attributes as fields whose tag byte is `tag`."""
    if not tags:
        return b""
    known = _kept.get
    return tag + tag.join([known(item) or _attribute(item) for item in tags.items()])


def _attribute(item: tuple[str, Value]) -> bytes:
    """A KeyValue message behind its length. Texts are kept: what else is equal (1, 1.0 and True) is not the same."""
    key, value = item
    made = _measured(_block(b"\x0a", _utf8(key)) + _block(b"\x12", _any_value(value)))
    if isinstance(value, str) and len(made) <= _SHORT:
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        _kept[item] = made
    return made


def _any_value(value: Value) -> bytes:
    if isinstance(value, str):
        return _block(b"\x0a", _utf8(value))
    if isinstance(value, bool):
        return integer(2, value)
    if isinstance(value, int):
        return integer(3, value) if -(1 << 63) <= value < 1 << 63 else block(1, b"%d" % value)
    return double(4, value) if isinstance(value, float) else block(7, value)


def _block(tag: bytes, data: bytes) -> bytes:
    return tag + _measured(data)


def _measured(data: bytes) -> bytes:
    size = len(data)
    return (_SIZES[size] if size < 1_024 else varint(size)) + data


def _utf8(text: str) -> bytes:
    return text.encode(errors="replace")  # JSON can hold halves of surrogate pairs
