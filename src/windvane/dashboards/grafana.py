"""The same dashboards in Grafana's JSON, built with Grafana's own library.

Importing this module loads the library, which takes some tenths of a second: only what exports imports it.
A variable of a label's values becomes `label_values(…)`; a table becomes one frame of joined instant
queries with named columns; a heatmap reads Prometheus's buckets as they are.
"""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import gauge, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from windvane.dashboards.model import Choice, Dashboard, Panel, Place, Target, Variable, placed

_SOURCE = models.DataSourceRef("prometheus", "${datasource}")
_COLOURS = {"ok": "green", "warn": "orange", "bad": "red"}
_BUILDERS: dict[str, Any] = {
    "timeseries": timeseries.Panel,
    "stat": stat.Panel,
    "gauge": gauge.Panel,
    "heatmap": heatmap.Panel,
    "table": table.Panel,
}


def export(dashboard: Dashboard) -> str:
    """The dashboard as text that Grafana imports; the same text for the same definition."""
    built = builders.Dashboard(dashboard.title)
    built.uid(dashboard.uid).description(dashboard.description).tags(list(dashboard.tags))
    built.time(f"now-{dashboard.seconds // 60}m", "now").refresh(f"{dashboard.refresh_seconds}s")
    built.timezone("browser").tooltip(models.DashboardCursorSync.CROSSHAIR).editable()
    built.with_variable(builders.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    for variable in dashboard.variables:
        built.with_variable(_variable(variable))
    number = 0
    for spot in placed(dashboard):
        row = builders.Row(spot.row.title).grid_pos(_position(spot.place)).id(number := number + 1)
        panels = [_panel(panel, place).id(number := number + 1) for panel, place in spot.panels]
        if spot.row.collapsed:
            for panel in panels:
                row.with_panel(panel)
        built.with_row(row.collapsed(spot.row.collapsed))
        if not spot.row.collapsed:
            for panel in panels:
                built.with_panel(panel)
    return JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(built.build()) + "\n"


def _position(place: Place) -> models.GridPos:
    return models.GridPos(h=place.h, w=place.w, x=place.x, y=place.y)


def _variable(variable: Variable) -> Any:
    if isinstance(variable, Choice):
        chosen = list(variable.default)
        options = [models.VariableOption(option in chosen, option, option) for option in variable.options]
        custom = builders.CustomVariable(variable.name).label(variable.title).multi(True).options(options)
        return custom.values(",".join(variable.options)).current(models.VariableOption(True, chosen, chosen))
    query = builders.QueryVariable(variable.name).label(variable.title).datasource(_SOURCE)
    query.query(f"label_values({variable.selector}, {variable.label})")
    query.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(models.VariableSort.ALPHABETICAL_ASC)
    if variable.multi:
        query.multi(True).include_all(True).all_value(".*").current(models.VariableOption(True, ["All"], ["$__all"]))
    return query


def _panel(panel: Panel, place: Place) -> Any:
    built = _BUILDERS[panel.kind]().title(panel.title).unit(panel.unit).datasource(_SOURCE)
    built.grid_pos(_position(place))
    if panel.description:
        built.description(panel.description)
    for number, target in enumerate(panel.targets):
        built.with_target(_target(target, chr(ord("A") + number), panel.kind))
    if panel.thresholds:
        built.thresholds(_thresholds(panel))
    if panel.kind == "timeseries":
        _lines(built, panel)
    elif panel.kind == "stat":
        _stat(built, panel)
    elif panel.kind == "gauge":
        built.min(0).max(1).reduce_options(_last())
    elif panel.kind == "heatmap":
        built.calculate(False).y_axis(heatmap.YAxisConfig().unit(panel.unit))
        built.color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))
    else:
        _table(built, panel)
    return built


def _target(target: Target, reference: str, kind: str) -> prometheus.Dataquery:
    query = prometheus.Dataquery().expr(target.expr).ref_id(reference).datasource(_SOURCE)
    if target.instant:
        query.instant()
    else:
        query.range()
    if kind == "table":
        return query.format(PromQueryFormat.TABLE)
    if target.legend:
        query.legend_format(target.legend)
    return query.format(PromQueryFormat.HEATMAP if kind == "heatmap" else PromQueryFormat.TIME_SERIES)


def _thresholds(panel: Panel) -> builders.ThresholdsConfig:
    steps = [models.Threshold(step.value, _COLOURS[step.tone]) for step in panel.thresholds]
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _lines(built: Any, panel: Panel) -> None:
    built.line_width(1).fill_opacity(30 if panel.stacked else 8).show_points(common.VisibilityMode.NEVER)
    built.min(0)
    if panel.unit == "percentunit":
        built.max(1)
    if panel.stacked:
        built.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL))
    place = common.LegendPlacement.BOTTOM if panel.width > 6 else common.LegendPlacement.RIGHT
    legend = common_builders.VizLegendOptions().show_legend(True).display_mode(common.LegendDisplayMode.LIST)
    built.legend(legend.placement(place).calcs([]))
    built.tooltip(
        common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    )


def _stat(built: Any, panel: Panel) -> None:
    mode = common.BigValueColorMode.VALUE if panel.thresholds else common.BigValueColorMode.NONE
    built.color_mode(mode).graph_mode(common.BigValueGraphMode.AREA).reduce_options(_last())


def _last() -> common_builders.ReduceDataOptions:
    return common_builders.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False)


def _table(built: Any, panel: Panel) -> None:
    """Joins the targets' rows on their labels, names the columns, and links the first of them."""
    columns = {f"Value #{chr(ord('A') + at)}": target for at, target in enumerate(panel.targets)}
    names = {**dict(panel.labels), **{key: target.legend for key, target in columns.items()}}
    order = {key: at for at, key in enumerate(names)}
    built.with_transformation(models.DataTransformerConfig("merge", options={}))
    built.with_transformation(
        models.DataTransformerConfig(
            "organize", options={"excludeByName": {"Time": True}, "indexByName": order, "renameByName": names}
        )
    )
    for target in panel.targets:
        built.override_by_name(target.legend, [models.DynamicConfigValue("unit", target.unit)])
    titles = dict(panel.labels)
    for uid, filled in panel.links:
        _, label = filled[-1]
        query = "&".join(f"var-{name}=${{__data.fields.{titles[source]}}}" for name, source in filled)
        link = {"title": "", "url": f"/d/{uid}?{query}&${{__url_time_range}}"}
        built.override_by_name(titles[label], [models.DynamicConfigValue("links", [link])])
    if panel.targets:
        built.sort_by([common_builders.TableSortByFieldState().display_name(panel.targets[0].legend).desc(True)])
