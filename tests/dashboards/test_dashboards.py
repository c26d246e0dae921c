"""The shipped dashboards: what they ask is PromQL and answers on a mesh's data; their exports and routes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asgi_client import AsgiClient
from click.testing import CliRunner
from grafana_variables import Values, substitute
from mesh_samples import write_mesh

from windvane.api.windvane.dashboards import routes
from windvane.cli.dashboards import command
from windvane.dashboards import DASHBOARDS, find
from windvane.dashboards.grafana import export
from windvane.dashboards.model import Choice, Dashboard, LabelValues, Panel, Target, placed
from windvane.dashboards.words import CHINESE
from windvane.kit.errors import BadInputError, NotFoundError
from windvane.promql.engine import QueryEngine
from windvane.promql.parse import parse, parse_selector
from windvane.promql.value import MatrixResult
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate

END = 1_700_000_000_000
ALL = ("$__all",)
VALUES: Values = {
    "__rate_interval": "1m0s",
    "__range": "900s",
    "service": "reviews.shop.svc.cluster.local",
    "namespace": "shop",
    "workload": "reviews-v2",
    "qrep": ("source", "destination"),
    **dict.fromkeys(("srccluster", "srcns", "srcwl", "dstcluster", "dstns", "dstwl", "dstsvc"), ALL),
}
# What nobody reports in this mesh: containers, the Go runtime, webhooks, and events of a Kubernetes cluster.
ELSEWHERE = (
    "container_", "go_", "process_", "galley_", "sidecar_injection", "pilot_k8s", "pilot_push_triggers",
    "pilot_total_xds", "pilot_xds_config_size", "envoy_cluster", "envoy_wasm_", "istio_dns_", "istio_xds_",
    "workload_manager_",
)  # fmt: skip
by_uid = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)


def targets(dashboard: Dashboard) -> Iterator[tuple[Panel, Target]]:
    for panel in dashboard.panels:
        for target in panel.targets:
            yield panel, target


@by_uid
def test_every_expression_is_promql_and_names_only_known_variables(dashboard: Dashboard) -> None:
    for variable in dashboard.variables:
        if isinstance(variable, LabelValues):
            parse_selector(substitute(variable.selector, VALUES))
    for _, target in targets(dashboard):
        parse(substitute(target.expr, VALUES))


@by_uid
def test_variables_are_declared_before_they_are_used(dashboard: Dashboard) -> None:
    known: dict[str, str | tuple[str, ...]] = {"__rate_interval": "1m", "__range": "1h"}
    for variable in dashboard.variables:
        if isinstance(variable, LabelValues):
            substitute(variable.selector, known)
        known[variable.name] = variable.default if isinstance(variable, Choice) else "x"
    for _, target in targets(dashboard):
        substitute(target.expr, known)


@pytest.fixture(scope="module")
def queries(data_directory: Path) -> Iterator[QueryEngine]:
    engine = EmbeddedEngine.open(data_directory, database="dashboards")
    migrate(engine, Retention(default=None))
    write_mesh(engine, END)
    yield QueryEngine(engine)
    engine.command("DROP DATABASE dashboards")
    engine.close()


@pytest.mark.parametrize("uid", ["istio-mesh", "istio-service", "istio-workload", "windvane-server"])
def test_every_panel_answers_on_a_mesh_with_traffic(uid: str, queries: QueryEngine) -> None:
    silent = []
    for dashboard in [find(uid)]:
        for panel in dashboard.panels:
            wanted = {**VALUES, **_tcp_or_http(panel), **_caller(uid, panel)}
            found = [_series(queries, substitute(target.expr, wanted)) for target in panel.targets]
            if not any(found):
                silent.append((panel.title, panel.targets[0].expr))
    assert silent == []


def test_panels_of_what_runs_elsewhere_ask_for_metrics_of_the_platform_only(queries: QueryEngine) -> None:
    for uid in ("istio-performance", "istio-control-plane"):
        for panel, target in targets(find(uid)):
            if not _series(queries, substitute(target.expr, VALUES)):
                gateway = "istio-ingressgateway" in target.expr
                assert gateway or any(name in target.expr for name in ELSEWHERE), (panel.title, target.expr)


def test_the_success_rate_is_the_share_without_5xx(queries: QueryEngine) -> None:
    panel = next(panel for panel in find("istio-mesh").panels if panel.title == "Success rate")
    result = queries.instant(substitute(panel.targets[0].expr, VALUES), END).value
    assert [round(float(value), 3) for value in result.values] == [0.98]  # type: ignore[union-attr]


def _tcp_or_http(panel: Panel) -> dict[str, str]:
    """TCP panels are asked of the workload that speaks TCP."""
    if "istio_tcp" not in panel.targets[0].expr:
        return {}
    return {"service": "ledger.payments.svc.cluster.local", "namespace": "payments", "workload": "ledger-v1"}


def _caller(uid: str, panel: Panel) -> dict[str, str]:
    """Outgoing panels are asked of a workload that calls others."""
    if uid != "istio-workload" or 'source_workload="$workload"' not in panel.targets[0].expr:
        return {}
    return {"namespace": "shop", "workload": "cart-v1" if "istio_tcp" in panel.targets[0].expr else "frontend-v1"}


def _series(queries: QueryEngine, expr: str) -> int:
    value = queries.range(expr, END - 600_000, END, 15_000).value
    assert isinstance(value, MatrixResult)
    return len(value.labels)


@by_uid
def test_panels_keep_to_the_grid_and_apart(dashboard: Dashboard) -> None:
    taken: set[tuple[int, int]] = set()
    for row in placed(dashboard):
        for place in [row.place, *(place for _, place in row.panels)]:
            cells = {(x, y) for x in range(place.x, place.x + place.w) for y in range(place.y, place.y + place.h)}
            assert place.x + place.w <= 24
            assert not cells & taken
            taken |= cells


@by_uid
def test_table_links_lead_to_variables_that_exist(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        columns = {label for label, _ in panel.labels}
        for uid, filled in panel.links:
            names = {variable.name for variable in find(uid).variables}
            assert {name for name, _ in filled} <= names
            assert {label for _, label in filled} <= columns


def test_every_word_has_its_chinese_and_no_other() -> None:
    said = {word for dashboard in DASHBOARDS for word in _words(dashboard) if word}
    assert said == set(CHINESE)


def _words(dashboard: Dashboard) -> Iterator[str]:
    yield from (dashboard.title, dashboard.description)
    yield from (variable.title for variable in dashboard.variables)
    yield from (row.title for row in dashboard.rows)
    for panel in dashboard.panels:
        yield from (panel.title, panel.description)
        if panel.kind == "table":
            yield from (title for _, title in panel.labels)
            yield from (target.legend for target in panel.targets)


@by_uid
def test_exports_are_as_reviewed(dashboard: Dashboard, golden: Callable[[str, str], None]) -> None:
    text = export(dashboard)
    golden(f"{dashboard.uid}.json", text)
    body = json.loads(text)
    panels = [panel for top in body["panels"] for panel in [top, *top.get("panels", [])]]
    numbers = [panel["id"] for panel in panels]
    assert len(set(numbers)) == len(numbers)
    asked = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    assert asked == [target.expr for _, target in targets(dashboard)]


def test_only_an_export_loads_grafanas_library() -> None:
    code = (
        "import sys, windvane.cli.dashboards, windvane.api.windvane.dashboards;"
        "print([name for name in sys.modules if name.startswith('grafana')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_command_lists_and_exports(tmp_path: Path) -> None:
    runner = CliRunner()
    listed = json.loads(runner.invoke(command, ["list", "--output", "json"]).output)
    assert [row["name"] for row in listed] == [dashboard.uid for dashboard in DASHBOARDS]
    assert "istio-mesh" in runner.invoke(command, ["list"]).output
    one = runner.invoke(command, ["export", "istio-mesh"])
    assert json.loads(one.output)["uid"] == "istio-mesh"
    ran = runner.invoke(command, ["export", "--dir", str(tmp_path / "new")])
    assert ran.exit_code == 0
    assert {file.stem for file in (tmp_path / "new").iterdir()} == {dashboard.uid for dashboard in DASHBOARDS}


def test_the_command_names_what_is_wrong() -> None:
    runner = CliRunner()
    assert isinstance(runner.invoke(command, ["export", "nothing"]).exception, NotFoundError)
    assert isinstance(runner.invoke(command, ["export"]).exception, BadInputError)


def test_the_routes_serve_the_same_definitions_in_two_languages() -> None:
    client = AsgiClient(routes())
    listed = client.get("/api/windvane/v1/dashboards").json()["dashboards"]
    assert [row["uid"] for row in listed] == [dashboard.uid for dashboard in DASHBOARDS]
    for row in listed:
        english = client.get(f"/api/windvane/v1/dashboards/{row['uid']}").json()
        chinese = client.get(f"/api/windvane/v1/dashboards/{row['uid']}", {"language": "zh"}).json()
        assert english["title"] == row["title"]
        assert chinese["title"] == CHINESE[english["title"]]
        assert _expressions(english) == _expressions(chinese) == [t.expr for _, t in targets(find(row["uid"]))]


def test_the_routes_name_what_is_wrong() -> None:
    client = AsgiClient(routes())
    missing = client.get("/api/windvane/v1/dashboards/none")
    assert missing.status_code == 404
    assert "istio-mesh" in missing.json()["error"]["message"]
    assert client.get("/api/windvane/v1/dashboards", {"language": "tlh"}).status_code == 400


def _expressions(body: dict[str, Any]) -> list[str]:
    return [target["expr"] for row in body["rows"] for panel in row["panels"] for target in panel["targets"]]
