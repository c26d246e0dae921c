"""Which scopes are watched, each in a row of its own; and which are not, for the budget."""

from __future__ import annotations

import numpy as np

from windvane.analytics.baselines.contract import Kind, Scope, WatchSettings
from windvane.analytics.baselines.reading import Minutes

SHARES: dict[Kind, float] = {"service": 1.0, "edge": 0.6, "version": 0.15, "workload": 0.05, "operation": 0.2}
"""Of the budget that services leave."""


class Roster:
    """Rows of scopes; rows of scopes that are gone are given to others."""

    def __init__(self, settings: WatchSettings) -> None:
        self._settings = settings
        self.rows: dict[Scope, int] = {}
        self.free: list[int] = []
        self.cut: dict[Kind, int] = {}
        self._counts: dict[Kind, int] = {}

    @property
    def size(self) -> int:
        """Rows that are or were in use."""
        return len(self.rows) + len(self.free)

    def counts(self) -> dict[Kind, int]:
        """Scopes of each kind."""
        return {kind: self._counts.get(kind, 0) for kind in self._settings.kinds}

    def admit(self, kind: Kind, found: Minutes) -> list[Scope]:
        """Give rows to scopes that have none, the busiest first; those that got one."""
        fresh = [place for place, scope in enumerate(found.scopes) if scope not in self.rows]
        if kind in ("version", "workload"):
            fresh = self._divided(found, fresh)
        self.cut.pop(kind, None)
        if not fresh:
            return []
        busy = np.nan_to_num(found.requests[fresh]).sum(axis=1)
        order = [fresh[place] for place in np.argsort(-busy, kind="stable").tolist()]
        room = max(0, self._room(kind) - self._counts.get(kind, 0))
        if len(order) > room:
            self.cut[kind] = len(order) - room
        chosen = [found.scopes[place] for place in order[:room]]
        for scope in chosen:
            self.place(scope, self.free.pop() if self.free else len(self.rows))
        return chosen

    def place(self, scope: Scope, row: int) -> None:
        """Give this row to a scope."""
        self.rows[scope] = row
        self._counts[scope.kind] = self._counts.get(scope.kind, 0) + 1

    def drop(self, scope: Scope) -> int:
        """A scope is gone; its row is free."""
        row = self.rows.pop(scope)
        self.free.append(row)
        self._counts[scope.kind] -= 1
        return row

    def _room(self, kind: Kind) -> int:
        whole = self._settings.scopes
        rest = whole if kind == "service" else whole - self._counts.get("service", 0)
        return int(rest * SHARES[kind])

    def _divided(self, found: Minutes, fresh: list[int]) -> list[int]:
        """Of a service with one version there is nothing to tell but of the service: only those with more."""
        several: dict[tuple[str, str], int] = {}
        busy = np.nan_to_num(found.requests).sum(axis=1) > 0
        for place, scope in enumerate(found.scopes):
            if busy[place] or scope in self.rows:
                key = scope.namespace, scope.service
                several[key] = several.get(key, 0) + 1
        return [
            place for place in fresh
            if busy[place] and several[found.scopes[place].namespace, found.scopes[place].service] > 1
        ]  # fmt: skip
