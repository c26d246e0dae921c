"""A trace as expressions see it: its spans by position, and what only the whole of it can tell.

Parents are found by id; where several spans share one (Zipkin's client and server), each of them is
the parent. A span whose parent was never received belongs to no tree, but is a parent, child and
sibling all the same; only its nested-set numbers are 0, as in Tempo.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from windvane.tracing.model import Span


class TraceView:
    """Spans of one trace, in the order of their start."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self.spans = spans

    @cached_property
    def _by_id(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for place, span in enumerate(self.spans):
            found.setdefault(span.span_id, []).append(place)
        return found

    @cached_property
    def parents(self) -> list[list[int]]:
        """For each span the places of its parents."""
        own = self._by_id
        return [
            [place for place in own.get(span.parent_id, ()) if place != index] if span.parent_id else []
            for index, span in enumerate(self.spans)
        ]

    @cached_property
    def children(self) -> list[list[int]]:
        """For each span the places of its children."""
        found: list[list[int]] = [[] for _ in self.spans]
        for place, parents in enumerate(self.parents):
            for parent in parents:
                found[parent].append(place)
        return found

    @cached_property
    def root(self) -> Span | None:
        """The first span without a parent."""
        return next((span for span in self.spans if not span.parent_id), None)

    @cached_property
    def duration_ns(self) -> int:
        """From the first start to the last end."""
        return max(span.end_ns for span in self.spans) - min(span.start_ns for span in self.spans)

    @cached_property
    def nested(self) -> list[tuple[int, int, int]]:
        """For each span the numbers at which a walk enters and leaves it, and its parent's first (-1: a root)."""
        numbers = [(0, 0, 0)] * len(self.spans)
        visited = [False] * len(self.spans)
        count = 0
        for root, span in enumerate(self.spans):
            if span.parent_id or visited[root]:
                continue
            stack = [(root, -1, False)]
            while stack:
                place, parent, done = stack.pop()
                if done:
                    count += 1
                    numbers[place] = (numbers[place][0], count, parent)
                    continue
                if visited[place]:
                    continue
                visited[place] = True
                count += 1
                numbers[place] = (count, 0, parent)
                stack.append((place, parent, True))
                stack += [(child, count, False) for child in reversed(self.children[place])]
        return numbers

    def ancestors(self, places: set[int]) -> set[int]:
        """Everything above any of the spans."""
        return self._reached(places, self.parents)

    def descendants(self, places: set[int]) -> set[int]:
        """Everything below any of the spans."""
        return self._reached(places, self.children)

    @staticmethod
    def _reached(places: set[int], ways: list[list[int]]) -> set[int]:
        found: set[int] = set()
        pending = list(places)
        while pending:
            for place in ways[pending.pop()]:
                if place not in found:
                    found.add(place)
                    pending.append(place)
        return found
