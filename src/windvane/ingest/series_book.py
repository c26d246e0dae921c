"""From label lists to ids: what every receiver of metrics asks for each series of a request.

Known series are looked up in one call. New ones, and those whose announcement runs out, take the
slow way: labels are read, checked, counted against the budget, and announced with the batch. They
become known only when the announcement is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from windvane.ingest.series_rules import MetricLimits, SeriesBudget, checked
from windvane.ingest.series_table import OTHER_FACTS, UNANNOUNCED, SeriesTable, Times, Words
from windvane.signals.refusals import RefusedError
from windvane.store.series import ANNOUNCE_EVERY_MS, series_block, series_id

Pairs = list[tuple[bytes, bytes]]


class _Asked(NamedTuple):
    """A series that takes the slow way: its row in the request, state bits, and what the table is to learn."""

    row: int
    state: int
    key: tuple[int, int]
    first: int
    last: int
    facts: int


@dataclass(slots=True)
class Announcements:
    """Series to be announced, and what will be known of them then."""

    keys: list[tuple[int, int]] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    labels: list[dict[str, str]] = field(default_factory=list)
    firsts: list[int] = field(default_factory=list)
    lasts: list[int] = field(default_factory=list)
    facts: list[int] = field(default_factory=list)

    def add(self, one: _Asked, number: int, labels: dict[str, str]) -> None:
        """A series is to be announced for its times."""
        self.keys.append(one.key)
        self.ids.append(number)
        self.labels.append(labels)
        self.firsts.append(one.first)
        self.lasts.append(one.last)
        self.facts.append(one.facts)

    def block(self) -> bytes:
        """The rows for the store."""
        firsts, untils = self._times()
        return series_block(np.array(self.ids, np.uint64), self.labels, firsts, untils)

    def tell(self, table: SeriesTable) -> None:
        """They are stored: let the table know."""
        firsts, untils = self._times()
        keys = np.array(self.keys, np.uint64).reshape(-1, 2)
        table.learn(keys, np.array(self.ids, np.uint64), firsts, untils, np.array(self.facts, np.uint64))

    def _times(self) -> tuple[Times, Times]:
        return np.array(self.firsts, np.int64), np.array(self.lasts, np.int64) + ANNOUNCE_EVERY_MS


@dataclass(slots=True)
class Resolved:
    """Ids of series (0 where refused or without data), why some are refused, what is to be announced.

    `heard` are the series whose metadata is other than the last heard, with their labels if they were read.
    """

    ids: Words
    refused: dict[int, RefusedError]
    announcements: Announcements
    heard: dict[int, dict[str, str]]

    def refuse(self, row: int, error: RefusedError) -> None:
        """The series of a row is not stored."""
        self.refused[row] = error
        self.ids[row] = 0


class SeriesBook:
    """Everything known of the series of one store. Safe from any thread."""

    def __init__(self, budget: SeriesBudget, limits: MetricLimits) -> None:
        self.table = SeriesTable()
        self._budget = budget
        self._limits = limits

    def resolve(
        self,
        keys: Words,
        firsts: Times,
        lasts: Times,
        facts: Words,
        labels_of: Callable[[int], Pairs],
    ) -> Resolved:
        """Ids of series with data from `firsts` to `lasts` (none where first > last)."""
        ids, state = self.table.look_up(keys, firsts, lasts, facts)
        result = Resolved(ids, {}, Announcements(), {})
        some = firsts <= lasts
        ids[~some] = 0
        wanted = np.flatnonzero(some & (state & (UNANNOUNCED | OTHER_FACTS) != 0))
        if len(wanted):
            columns = (wanted, state[wanted], keys[wanted], firsts[wanted], lasts[wanted], facts[wanted])
            asked = [_Asked(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
            self._announce(result, asked, labels_of)
        return result

    def _announce(self, result: Resolved, asked: list[_Asked], labels_of: Callable[[int], Pairs]) -> None:
        found: list[tuple[_Asked, int, dict[str, str]]] = []
        for one in asked:
            try:
                labels = checked(labels_of(one.row), self._limits)
            except RefusedError as error:
                result.refuse(one.row, error)
            else:
                found.append((one, series_id(labels), labels))
        admitted = self._budget.admit([number for _, number, _ in found])
        for (one, number, labels), fits in zip(found, admitted, strict=True):
            if not fits:
                result.refuse(one.row, RefusedError("series_limit", self._budget.message))
                continue
            result.ids[one.row] = number
            result.announcements.add(one, number, labels)
            if one.state & OTHER_FACTS:
                result.heard[one.row] = labels
