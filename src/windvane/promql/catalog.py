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
        """Label names in use, sorted, `__name__` first among them."""
        where = _any_of(selectors, window)
        names = self._strings(
            f"SELECT DISTINCT arrayJoin(mapKeys(Labels)) AS V FROM series WHERE {where.sql} ORDER BY V", where, limit
        )
        some = names or self._strings(f"SELECT '' AS V FROM series WHERE {where.sql} LIMIT 1", where, 0)
        return sorted([METRIC_NAME, *names] if some else names)[: limit or None]

    def label_values(self, label: str, selectors: Sequence[Selector], window: Window, limit: int = 0) -> list[str]:
        """Values of one label, sorted."""
        where = _any_of(selectors, window)
        column = "Name" if label == METRIC_NAME else "Labels[{label:String}]"
        params = {**where.params, "label": label}
        sql = f"SELECT DISTINCT toString({column}) AS V FROM series WHERE {where.sql} AND V != '' ORDER BY V"
        return self._strings(sql, Condition(where.sql, params), limit)

    def series(self, selectors: Sequence[Selector], window: Window, limit: int = 0) -> list[dict[str, str]]:
        """Label sets, in order of name and labels."""
        where = _any_of(selectors, window)
        frame = self._engine.query(
            f"SELECT any(Name) AS N, any(Labels) AS L FROM series WHERE {where.sql} GROUP BY Id "
            f"ORDER BY N, toString(L){_limit(limit)}",
            where.params,
        )
        return [
            {METRIC_NAME: name, **dict(sorted(dict(labels).items()))}
            for name, labels in zip(frame["N"].tolist(), frame["L"].tolist(), strict=True)
        ]

    def _strings(self, sql: str, where: Condition, limit: int) -> list[str]:
        return [str(value) for value in self._engine.query(sql + _limit(limit), where.params)["V"].tolist()]


def _limit(limit: int) -> str:
    return f" LIMIT {int(limit)}" if limit else ""


def _any_of(selectors: Sequence[Selector], window: Window) -> Condition:
    """Series in the window that match any of the selectors (all series, if none are given)."""
    parts = [condition(selector.matchers, f"s{number}m") for number, selector in enumerate(selectors)]
    params: dict[str, object] = {key: value for part in parts for key, value in part.params.items()}
    params |= {"start": clamp(window.start), "end": clamp(window.end)}
    matched = " OR ".join(f"({part.sql})" for part in parts) or "1"
    sql = (
        f"({matched}) AND FirstSeen <= fromUnixTimestamp64Milli({{end:Int64}}) "
        "AND LastSeen >= fromUnixTimestamp64Milli({start:Int64})"
    )
    return Condition(sql, params)
