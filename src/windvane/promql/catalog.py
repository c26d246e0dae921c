"""Which series there are: label names, label values, label sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from windvane.promql.read import Condition, clamp, condition
from windvane.promql.syntax import METRIC_NAME, Selector
from windvane.store.api import Engine


@dataclass(frozen=True, slots=True)
class Window:
    """Series that may have samples between two times (ms, inclusive)."""

    start: int
    end: int


class Catalog:
    """Reads table `series`; safe from any thread. `limit` 0 means all."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def label_names(self, selectors: Sequence[Selector], window: Window, limit: int = 0) -> list[str]:
        """Label names in use, sorted, `__name__` among them."""
        source = _series(selectors, window)
        names = self._strings(f"SELECT DISTINCT arrayJoin(mapKeys(L)) AS V FROM {source.sql} ORDER BY V", source, 0)
        if not names and not self._strings(f"SELECT N AS V FROM {source.sql} LIMIT 1", source, 0):
            return []
        return sorted([METRIC_NAME, *names])[: limit or None]

    def label_values(self, label: str, selectors: Sequence[Selector], window: Window, limit: int = 0) -> list[str]:
        """Values of one label, sorted."""
        source = _series(selectors, window)
        column = "N" if label == METRIC_NAME else "L[{label:String}]"
        sql = f"SELECT DISTINCT toString({column}) AS V FROM {source.sql} WHERE V != '' ORDER BY V"
        return self._strings(sql, Condition(sql, {**source.params, "label": label}), limit)

    def series(self, selectors: Sequence[Selector], window: Window, limit: int = 0) -> list[dict[str, str]]:
        """Label sets, in order of name and labels."""
        source = _series(selectors, window)
        sql = f"SELECT N, L FROM {source.sql} ORDER BY N, toString(L){_limit(limit)}"
        frame = self._engine.query(sql, source.params)
        return [
            {METRIC_NAME: name, **dict(sorted(dict(labels).items()))}
            for name, labels in zip(frame["N"].tolist(), frame["L"].tolist(), strict=True)
        ]

    def _strings(self, sql: str, source: Condition, limit: int) -> list[str]:
        return [str(value) for value in self._engine.query(sql + _limit(limit), source.params)["V"].tolist()]


def _limit(limit: int) -> str:
    return f" LIMIT {int(limit)}" if limit else ""


def _series(selectors: Sequence[Selector], window: Window) -> Condition:
    """A subquery (N, L) of series in the window that match any of the selectors (all, if none are given)."""
    parts = [condition(selector.matchers, f"s{number}m") for number, selector in enumerate(selectors)]
    params: dict[str, object] = {key: value for part in parts for key, value in part.params.items()}
    params |= {"start": clamp(window.start), "end": clamp(window.end)}
    matched = " OR ".join(f"({part.sql})" for part in parts) or "1"
    sql = (
        f"(SELECT any(Name) AS N, any(Labels) AS L FROM series WHERE {matched} GROUP BY Id "
        "HAVING min(FirstSeen) <= fromUnixTimestamp64Milli({end:Int64}) "
        "AND max(LastSeen) >= fromUnixTimestamp64Milli({start:Int64}))"
    )
    return Condition(sql, params)
