"""What a dashboard is: variables, rows of panels, and the PromQL behind each panel, as plain typed data.

One definition serves two readers: the console draws it from JSON (`as_json`), and `grafana.py` turns it
into Grafana's own format. Units are Grafana's identifiers, for both read them. PromQL may hold `$name`
of a variable, and Grafana's `$__rate_interval` and `$__range`; each reader substitutes them.

The grid is Grafana's: 24 columns. Panels flow from left to right in their row and wrap when the row is
full, so a definition states only widths and heights; `placed` works out the positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

COLUMNS = 24

Kind = Literal["timeseries", "stat", "table", "gauge", "heatmap"]
Unit = Literal["short", "none", "reqps", "ops", "percentunit", "ms", "s", "bytes", "Bps", "cps"]
Tone = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Target:
    """One query. `legend` names its series, `{{label}}` filled in from each; in a table it is the column's title.

    `instant` asks for the value at the range's end only; `unit` is that of a table's column.
    """

    expr: str
    legend: str = ""
    unit: Unit = "short"
    instant: bool = False


@dataclass(frozen=True, slots=True)
class Threshold:
    """From `value` upwards a number has this tone; the first of a panel has no value and is the base."""

    tone: Tone
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `labels` are a table's leading columns: label and title; rows of the targets join on them.

    `links` opens another dashboard from a table's row: its uid, and for each of its variables the label
    that fills it.
    """

    title: str
    kind: Kind
    targets: tuple[Target, ...]
    unit: Unit = "short"
    width: int = 12
    height: int = 8
    description: str = ""
    thresholds: tuple[Threshold, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]
    collapsed: bool = False


@dataclass(frozen=True, slots=True)
class LabelValues:
    """A variable whose choices are a label's values on the series that `selector` matches."""

    name: str
    title: str
    label: str
    selector: str
    multi: bool = False
    kind: Literal["query"] = "query"


@dataclass(frozen=True, slots=True)
class Choice:
    """A variable with fixed choices, several of which may hold at once."""

    name: str
    title: str
    options: tuple[str, ...]
    default: tuple[str, ...]
    kind: Literal["custom"] = "custom"


Variable = LabelValues | Choice


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard; `uid` is stable, for links hold it. `seconds` is the range it opens with."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()
    tags: tuple[str, ...] = ()
    seconds: int = 900
    refresh_seconds: int = 15

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, in reading order."""
        return tuple(panel for row in self.rows for panel in row.panels)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is on the grid: columns and row heights from the top left."""

    x: int
    y: int
    w: int
    h: int


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A row's heading and its panels on the grid."""

    row: Row
    place: Place
    panels: tuple[tuple[Panel, Place], ...] = field(default=())


def placed(dashboard: Dashboard) -> Iterator[PlacedRow]:
    """Every row with the grid positions of its heading and panels."""
    top = 0
    for row in dashboard.rows:
        heading = Place(0, top, COLUMNS, 1)
        top += 1
        spots: list[tuple[Panel, Place]] = []
        left = height = 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                top, left, height = top + height, 0, 0
            spots.append((panel, Place(left, top, panel.width, panel.height)))
            left, height = left + panel.width, max(height, panel.height)
        top += height
        yield PlacedRow(row, heading, tuple(spots))


def as_json(dashboard: Dashboard, words: dict[str, str]) -> dict[str, Any]:
    """The dashboard as the console reads it. `words` translates titles; what it lacks stays English."""

    def say(text: str) -> str:
        return words.get(text, text)

    return {
        "uid": dashboard.uid,
        "title": say(dashboard.title),
        "description": say(dashboard.description),
        "tags": list(dashboard.tags),
        "seconds": dashboard.seconds,
        "refresh_seconds": dashboard.refresh_seconds,
        "variables": [_variable_json(variable, say(variable.title)) for variable in dashboard.variables],
        "rows": [
            {
                "title": say(spot.row.title),
                "collapsed": spot.row.collapsed,
                "panels": [_panel_json(panel, place, words) for panel, place in spot.panels],
            }
            for spot in placed(dashboard)
        ],
    }


def _variable_json(variable: Variable, title: str) -> dict[str, Any]:
    common = {"name": variable.name, "title": title, "kind": variable.kind}
    if isinstance(variable, Choice):
        return {**common, "multi": True, "options": list(variable.options), "default": list(variable.default)}
    return {**common, "multi": variable.multi, "label": variable.label, "selector": variable.selector}


def _panel_json(panel: Panel, place: Place, words: dict[str, str]) -> dict[str, Any]:
    table = panel.kind == "table"
    return {
        "title": words.get(panel.title, panel.title),
        "description": words.get(panel.description, panel.description),
        "kind": panel.kind,
        "unit": panel.unit,
        "stacked": panel.stacked,
        "grid": {"x": place.x, "y": place.y, "w": place.w, "h": place.h},
        "thresholds": [{"tone": step.tone, "value": step.value} for step in panel.thresholds],
        "labels": [{"label": label, "title": words.get(title, title)} for label, title in panel.labels],
        "links": [{"uid": uid, "variables": dict(filled)} for uid, filled in panel.links],
        "targets": [
            {
                "expr": target.expr,
                "legend": words.get(target.legend, target.legend) if table else target.legend,
                "unit": target.unit,
                "instant": target.instant,
            }
            for target in panel.targets
        ],
    }
