"""Spans of many traces as columns, and who is whose parent.

Rows are in the order of their trace, then of start, length (the longest first) and id. Identical
copies of a span are one row. A server span that shares its id with a client span (Zipkin) is that
client span's child, and parent of the spans that name the id, as in `windvane.tracing.adjust`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from windvane.tracing.model import Span

Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
STATUSES = ("Unset", "Ok", "Error")
_SERVER, _CLIENT = KINDS.index("Server"), KINDS.index("Client")
OK, ERROR = STATUSES.index("Ok"), STATUSES.index("Error")

MAX_DURATION_NS = 10**15
"""Longer spans (eleven days) count as so long, so that sums of lengths fit 64 bits."""

_MIXERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xFF51AFD7ED558CCD)


class Name(NamedTuple):
    """What a span is called: its service and its operation."""

    service: str
    operation: str


@dataclass(frozen=True, slots=True)
class Columns:
    """Spans as they were read, in any order and with copies; every array has an entry a span.

    `trace` is an index of the trace, `id` and `parent_id` are span ids as numbers (0: none), times are
    nanoseconds, `kind` and `status` index `KINDS` and `STATUSES`, `name` indexes a list of names.
    """

    trace: Ints
    id: Keys
    parent_id: Keys
    start: Ints
    duration: Ints
    kind: Ints
    status: Ints
    name: Ints

    def take(self, rows: Ints | Mask) -> Columns:
        """The chosen spans."""
        return Columns(*(getattr(self, column)[rows] for column in Columns.__slots__))


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans in order; `parent` is the parent's row, -1 for a span whose parent is not here."""

    columns: Columns
    parent: Ints
    names: Sequence[Name]
    trace_ids: Sequence[str]

    def __len__(self) -> int:
        return len(self.parent)

    def span_id(self, row: int) -> str:
        """A span's id as hex."""
        return f"{int(self.columns.id[row]):016x}"

    def services(self) -> tuple[Ints, list[str]]:
        """For each name the number of its service, and the services."""
        found = list(dict.fromkeys(name.service for name in self.names))
        numbers = {service: number for number, service in enumerate(found)}
        return np.array([numbers[name.service] for name in self.names], np.int64), found


def arrange(columns: Columns, names: Sequence[Name], trace_ids: Sequence[str]) -> Spans:
    """Columns put in order, without copies, each span with its parent's row."""
    ordered = columns.take(_order(columns))
    ordered = ordered.take(~_copies(ordered))
    return Spans(ordered, _parents(ordered), names, trace_ids)


def _order(columns: Columns) -> Ints:
    """Rows by trace, start, length, id and kind: one sort of one number, and a finer one where that ties."""
    if not len(columns.start):
        return np.empty(0, np.int64)
    since = columns.start - columns.start.min()
    width = int(since.max()) + 1
    if width * (int(columns.trace.max()) + 1) >= 1 << 63:
        return np.lexsort((columns.kind, columns.id, -columns.duration, columns.start, columns.trace))
    key = columns.trace * width + since
    order = np.argsort(key, kind="stable")
    same = key[order[1:]] == key[order[:-1]]
    ties = np.flatnonzero(np.append(same, False) | np.append(False, same))
    rows = order[ties]
    finer = np.lexsort((columns.kind[rows], columns.id[rows], -columns.duration[rows], key[rows]))
    order[ties] = rows[finer]
    return order


def _copies(columns: Columns) -> Mask:
    """Where a row says the same as the one before it."""
    same = np.zeros(len(columns.id), np.bool_)
    if len(same):
        same[1:] = True
        for column in Columns.__slots__:
            values = getattr(columns, column)
            same[1:] &= values[1:] == values[:-1]
    return same


def _parents(columns: Columns) -> Ints:
    rows = len(columns.id)
    if not rows:
        return np.empty(0, np.int64)
    order, known, mixer = _sorted(columns)
    wanted = _mixed(columns.trace, columns.parent_id, mixer)
    place = np.minimum(np.searchsorted(known, wanted), rows - 1)
    found = order[place]
    right = (columns.id[found] == columns.parent_id) & (columns.trace[found] == columns.trace) & (columns.parent_id > 0)
    parent = np.where(right & (found != np.arange(rows)), found, -1)
    _adopt(columns, order, known, parent)
    return parent


def _adopt(columns: Columns, order: Ints, known: Keys, parent: Ints) -> None:
    """Make server spans children of the client spans whose id they share."""
    last = np.searchsorted(known, known, side="right") - 1
    client = order[last]
    shared = (columns.kind[order] == _SERVER) & (columns.kind[client] == _CLIENT)
    parent[order[shared]] = client[shared]


def _sorted(columns: Columns) -> tuple[Ints, Keys, int]:
    """Rows by a number that stands for trace and id, the server's first and the client's last of those that share one.

    The number is a hash; should two different ids ever share one, another hash is taken.
    """
    rank = np.select([columns.kind == _SERVER, columns.kind == _CLIENT], [0, 2], 1)
    for mixer in _MIXERS:
        mixed = _mixed(columns.trace, columns.id, mixer)
        order = np.lexsort((rank, mixed))
        known = mixed[order]
        alike = known[1:] == known[:-1]
        before, after = order[:-1][alike], order[1:][alike]
        if (columns.id[before] == columns.id[after]).all() and (columns.trace[before] == columns.trace[after]).all():
            break
    return order, known, mixer


def _mixed(trace: Ints, key: Keys, mixer: int) -> Keys:
    return key + (trace.astype(np.uint64) + np.uint64(1)) * np.uint64(mixer)


def of_spans(spans: Iterable[Span]) -> Spans:
    """The columns of spans in hand (a trace shown already, a test)."""
    listed = list(spans)
    traces = {trace_id: number for number, trace_id in enumerate(dict.fromkeys(span.trace_id for span in listed))}
    names = {name: number for number, name in enumerate(dict.fromkeys(Name(s.service, s.name) for s in listed))}
    numbers = np.array(
        [
            (traces[s.trace_id], s.start_ns, min(s.duration_ns, MAX_DURATION_NS), KINDS.index(s.kind),
             ERROR if s.attributes.get("error") in (True, "true") else STATUSES.index(s.status),
             names[Name(s.service, s.name)])
            for s in listed
        ],
        np.int64,
    ).reshape(len(listed), 6)  # fmt: skip
    ids = np.array([(int(s.span_id, 16), int(s.parent_id or "0", 16)) for s in listed], np.uint64).reshape(-1, 2)
    trace, start, duration, kind, status, name = numbers.T
    columns = Columns(trace, ids[:, 0], ids[:, 1], start, duration, kind, status, name)
    return arrange(columns, list(names), list(traces))
