"""What was changed near a moment: versions of the configuration, versions of services that appeared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from windvane.analytics.increments import on_grid
from windvane.analytics.releases.read import AskRange
from windvane.history.book import Book
from windvane.history.versions import Version
from windvane.incidents.values import Change, Node

BEFORE = 15 * 60
AFTER = 2 * 60
"""Seconds around the first bad moment: what came later is no cause, but minutes are coarse."""
_STEP = 60
_MOST = 20
_LISTED = 3
_BY = "destination_service_namespace, destination_service_name, destination_version"


class Changes(Protocol):
    """Who knows what was changed."""

    def near(self, at: int, services: Iterable[Node]) -> list[Change]:
        """Changes near a moment, the newest first; of versions only those of these services. Blocks."""

    def configured(self, start: int, end: int) -> list[tuple[int, list[Node]]]:
        """When the configuration changed in (start, end], and which services the changed resources are named as."""


class KnownChanges:
    """Changes from the configuration's history and from Istio's metrics."""

    def __init__(self, book: Book, ask: AskRange) -> None:
        self._book, self._ask = book, ask

    def near(self, at: int, services: Iterable[Node]) -> list[Change]:
        found = [*self._configurations(at - BEFORE, at + AFTER), *self._versions(at, set(services))]
        return sorted(found, key=lambda one: -one.at)[:_MOST]

    def configured(self, start: int, end: int) -> list[tuple[int, list[Node]]]:
        live = [one for one in self._live(start, end) if one.number > 1]
        return [(one.live_ms // 1_000, [(each.namespace, each.name) for each in one.changes]) for one in live]

    def _live(self, start: int, end: int) -> list[Version]:
        found = self._book.versions(_MOST, 1_000 * start, 1_000 * end)
        return [one for one in found if start < one.live_ms / 1_000 <= end]

    def _configurations(self, start: int, end: int) -> list[Change]:
        """The first version is no change: the server began to look then."""
        found = [one for one in self._live(start, end) if one.number > 1]
        return [Change(one.live_ms // 1_000, "configuration", _told(one)) for one in found]

    def _versions(self, at: int, services: set[Node]) -> list[Change]:
        """Versions that answered nothing before, of services that another version answered for."""
        begin, end = (1_000 * (one // _STEP * _STEP) for one in (at - 2 * BEFORE, at + AFTER))
        result = self._ask(f"sum by ({_BY}) (rate(istio_requests_total[2m])) > 0", begin, end, 1_000 * _STEP)
        size = (end - begin) // (1_000 * _STEP) + 1
        first: dict[Node, dict[str, int]] = {}
        for number, labels in enumerate(result.metrics):
            node = (labels.get("destination_service_namespace", ""), labels.get("destination_service_name", ""))
            known = on_grid(result, number, begin, 1_000 * _STEP, size) > 0
            if node in services and known.any():
                first.setdefault(node, {})[labels.get("destination_version", "")] = int(known.argmax())
        return [
            Change(begin // 1_000 + _STEP * place, "version", f"version {name} of {node[1]} began to serve")
            for node, versions in first.items() for name, place in versions.items()
            if place * _STEP >= BEFORE and min(versions.values()) == 0 and name not in ("", "unknown")
        ]  # fmt: skip


def _told(version: Version) -> str:
    listed = [f"{one.what} {one.kind} {one.namespace}/{one.name}" for one in version.changes[:_LISTED]]
    more = len(version.changes) - _LISTED
    what = ", ".join([*listed, *([f"{more} more"] if more > 0 else [])])
    return f"configuration {version.number}" + (f": {what}" if what else "")
