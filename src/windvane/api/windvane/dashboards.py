"""Own routes of the shipped dashboards: their definitions, which the console draws."""

from __future__ import annotations

from typing import Literal

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.api.windvane.docs import Parameter, RouteDoc, documented
from windvane.api.windvane.telemetry import PREFIX
from windvane.dashboards import DASHBOARDS, find
from windvane.dashboards.model import as_json
from windvane.dashboards.words import CHINESE
from windvane.kit.errors import BadInputError

_LANGUAGES: dict[str, dict[str, str]] = {"en": {}, "zh": CHINESE}


class DashboardSummary(BaseModel):
    """What a list of dashboards shows of one."""

    uid: str
    title: str
    description: str
    tags: list[str]
    panels: int


class DashboardList(BaseModel):
    """Every dashboard that ships."""

    dashboards: list[DashboardSummary]


class Grid(BaseModel):
    """A place on a grid of 24 columns."""

    x: int
    y: int
    w: int
    h: int


class ThresholdStep(BaseModel):
    """From `value` upwards (null: the base) a number has this tone."""

    tone: Literal["ok", "warn", "bad"]
    value: float | None


class TableLabel(BaseModel):
    """A leading column of a table."""

    label: str
    title: str


class TableLink(BaseModel):
    """Another dashboard to open from a row: for each of its variables the label that fills it."""

    uid: str
    variables: dict[str, str]


class PanelTarget(BaseModel):
    """One query; `$name` in it stands for a variable, `$__rate_interval` and `$__range` as in Grafana."""

    expr: str
    legend: str
    unit: str
    instant: bool


class DashboardPanel(BaseModel):
    """One panel; units are Grafana's identifiers."""

    title: str
    description: str
    kind: Literal["timeseries", "stat", "table", "gauge", "heatmap"]
    unit: str
    stacked: bool
    grid: Grid
    thresholds: list[ThresholdStep]
    labels: list[TableLabel]
    links: list[TableLink]
    targets: list[PanelTarget]


class DashboardRow(BaseModel):
    """Panels under one heading."""

    title: str
    collapsed: bool
    panels: list[DashboardPanel]


class DashboardVariable(BaseModel):
    """A variable: fixed `options`, or the values of `label` on the series that `selector` matches."""

    name: str
    title: str
    kind: Literal["query", "custom"]
    multi: bool
    options: list[str] = []
    default: list[str] = []
    label: str = ""
    selector: str = ""


class DashboardDefinition(BaseModel):
    """A whole dashboard; `seconds` is the time range it opens with."""

    uid: str
    title: str
    description: str
    tags: list[str]
    seconds: int
    refresh_seconds: int
    variables: list[DashboardVariable]
    rows: list[DashboardRow]


_LANGUAGE = Parameter("language", "Language of titles and descriptions: en or zh.", default="en")

_LIST = RouteDoc("The dashboards that ship.", DashboardList, (_LANGUAGE,))

_ONE = RouteDoc(
    "One dashboard's definition.",
    DashboardDefinition,
    (Parameter("uid", "The dashboard.", place="path"), _LANGUAGE),
    "The same definition that `windvane dashboards export` writes as Grafana's JSON.",
)


def routes() -> list[BaseRoute]:
    """The list and each dashboard; they depend on nothing."""
    return [
        documented(f"{PREFIX}/dashboards", _all, _LIST),
        documented(f"{PREFIX}/dashboards/{{uid}}", _one, _ONE),
    ]


def _all(request: Request) -> Response:
    words = _words(request)
    rows = [
        {
            "uid": dashboard.uid,
            "title": words.get(dashboard.title, dashboard.title),
            "description": words.get(dashboard.description, dashboard.description),
            "tags": list(dashboard.tags),
            "panels": len(dashboard.panels),
        }
        for dashboard in DASHBOARDS
    ]
    return _json({"dashboards": rows})


def _one(request: Request) -> Response:
    dashboard = find(request.path_params["uid"])
    return _json(as_json(dashboard, _words(request)))


def _words(request: Request) -> dict[str, str]:
    language = request.query_params.get("language", "en")
    if language not in _LANGUAGES:
        raise BadInputError(f"language is {language!r}; it can be {' or '.join(_LANGUAGES)}")
    return _LANGUAGES[language]


def _json(body: dict[str, object]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
