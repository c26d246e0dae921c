"""What was changed near a moment: versions of the configuration, versions of services, their pods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from windvane.analytics.releases.read import AskRange
from windvane.history.book import Book
from windvane.incidents.values import Change, Node

AFTER = 2 * 60
"""Seconds after the first odd minute in which a change may still have been before it: minutes are coarse."""
_SERVICES = 4
_MOST = 20


class Changes(Protocol):
    """Who knows what was changed."""

    def near(self, at: int, services: Sequence[Node]) -> list[Change]:
        """Changes near a moment, what bears most on these services first. Blocks."""

    def configured(self, start: int, end: int) -> list[tuple[int, list[Node]]]:
        """When the configuration changed in (start, end], and which services the changed resources are named as."""


class KnownChanges:
    """Changes from the configuration's history and from Istio's metrics."""

    def __init__(self, book: Book, ask: AskRange) -> None:
        self._book, self._ask = book, ask

    def near(self, at: int, services: Sequence[Node]) -> list[Change]:
        # Here, so that a server starts without what is needed only once something is odd.
        from windvane.analytics.changes import changes_near  # noqa: PLC0415

        found = changes_near(self._ask, self._book, services[:_SERVICES], float(at))
        return [Change(int(one.at), one.kind, one.text) for one in found if one.at <= at + AFTER][:_MOST]

    def configured(self, start: int, end: int) -> list[tuple[int, list[Node]]]:
        """The first version is no change: the server began to look then."""
        versions = [
            one for one in self._book.versions(_MOST, 1_000 * start, 1_000 * end)
            if start < one.live_ms / 1_000 <= end and one.number > 1
        ]  # fmt: skip
        return [(one.live_ms // 1_000, [(each.namespace, each.name) for each in one.changes]) for one in versions]
