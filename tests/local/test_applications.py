"""What stands behind the sidecars of a view: the emulator's plan, commands and their environment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from local_helpers import GATEWAY, service

from windvane.kit.values import Address
from windvane.local.addresses import claim
from windvane.local.applications import Applications, applications, environment
from windvane.local.emulator.plan import EmulatorPlan
from windvane.local.placement import Allocator
from windvane.local.rundir import copy_scenario
from windvane.mesh.files import FileSource
from windvane.mesh.placement import Placement
from windvane.mesh.view import MeshView

Mesh = Callable[[str], MeshView]
Placed = Callable[[MeshView], Placement]


@pytest.fixture
def placed(tmp_path: Path) -> Placed:
    allocator = Allocator(claim(tmp_path / "state"), Address("127.0.0.1", 28080))
    return allocator.update


def emulated(name: str, text: str) -> str:
    return service(name, annotations=f'{{windvane.dev/emulate: "{text}"}}')


def run(name: str, command: str = "exec python app.py", **more: str) -> str:
    return service(name, annotations=f'{{windvane.dev/run: "{command}"}}', **more)  # type: ignore[arg-type]


def of(view: MeshView, placement: Placement, before: EmulatorPlan | None = None) -> Applications:
    return applications(view, placement, before)


def test_each_workload_gets_what_its_annotation_says(mesh: Mesh, placed: Placed) -> None:
    view = mesh(GATEWAY + emulated("a", "latency: 1ms") + run("b"))
    placement = placed(view)
    found = of(view, placement)
    assert found.problems == ()
    assert set(found.plan.workloads) == {"a-v1.d"}
    assert found.plan.workloads["a-v1.d"].ports == {placement.places["a-v1.d"].app[8080]: "http"}
    assert found.commands["b-v1.d"].argv == ("/bin/sh", "-c", "exec python app.py")
    assert found.commands["b-v1.d"].cwd == Path(view.workloads["b-v1.d"].file).parent


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (service("a"), "nothing answers behind its sidecar"),
        (emulated("a", "latncy: 1ms"), "latncy: unknown field"),
        (emulated("a", "calls: [{to: 'http://nobody:80/'}]"), "calls nobody:80, which no service offers"),
        (emulated("a", "calls: [{to: 'tcp://a.d:81'}]"), "calls a.d:81, which no service offers"),
        (
            service("a", annotations="{windvane.dev/emulate: '', windvane.dev/run: 'x'}"),
            "has both windvane.dev/run and windvane.dev/emulate; neither is used",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, told: str, mesh: Mesh, placed: Placed) -> None:
    view = mesh(text)
    (problem,) = of(view, placed(view)).problems
    assert told in problem
    assert "mesh.yaml:" in problem
    assert "a-v1.d" in problem


def test_calls_are_checked_wherever_they_are(mesh: Mesh, placed: Placed) -> None:
    nested = "endpoints: [{path: /x, calls: [{parallel: [{sequence: [{to: 'http://p:1/'}]}]}]}], background: "
    nested += "[{every: 1s, calls: [{to: 'http://q:1/'}]}]"
    view = mesh(emulated("a", f"{{{nested}}}"))
    assert [problem.split("calls ")[1] for problem in of(view, placed(view)).problems] == [
        "p:1, which no service offers",
        "q:1, which no service offers",
    ]


def test_a_wrong_annotation_leaves_the_workload_as_it_was(mesh: Mesh, placed: Placed) -> None:
    good = mesh(emulated("a", "latency: 1ms"))
    before = of(good, placed(good)).plan
    bad = mesh(emulated("a", "latency: soon"))
    after = of(bad, placed(bad), before)
    assert after.plan == before
    assert len(after.problems) == 1


def test_a_command_finds_its_sidecar_and_its_neighbours(mesh: Mesh, placed: Placed) -> None:
    view = mesh(run("b") + service("c-d", protocol="tcp", port=5432) + service("e", namespace="far"))
    placement = placed(view)
    place = placement.places["b-v1.d"]
    variables = environment(view, view.workloads["b-v1.d"], place)
    proxy = f"http://{place.address}:{place.http_proxy}"
    assert variables["HTTP_PROXY"] == variables["http_proxy"] == proxy
    assert (variables["HOST"], variables["PORT"]) == (place.address, str(place.app[8080]))
    assert place.address in variables["NO_PROXY"]
    listener = str(place.outbound["c-d.d.svc.cluster.local:5432"])
    assert (variables["C_D_SERVICE_HOST"], variables["C_D_SERVICE_PORT"]) == (place.address, listener)
    assert variables["C_D_SERVICE_PORT_TCP"] == variables["C_D_D_SERVICE_PORT"] == listener
    assert "E_SERVICE_HOST" not in variables
    assert variables["E_FAR_SERVICE_HOST"] == place.address


def test_a_new_neighbour_does_not_restart_a_command_but_a_new_command_does(mesh: Mesh, placed: Placed) -> None:
    versions = []
    for text in (run("b"), run("b") + service("c"), run("b", "exec other")):
        view = mesh(text)
        versions.append(of(view, placed(view)).commands["b-v1.d"].version)
    assert versions[0] == versions[1] != versions[2]


def test_the_shop_has_no_problems_and_the_shape_it_promises(placed: Placed, tmp_path: Path) -> None:
    folder, _ = copy_scenario("shop", tmp_path)
    result = FileSource([folder]).load()
    assert result.view is not None
    assert result.findings == ()
    found = of(result.view, placed(result.view))
    assert found.problems == ()
    assert len(found.plan.workloads) == 14
    assert {workload.namespace for workload in found.plan.workloads.values()} == {"shop", "payments"}
    protocols = {protocol for workload in found.plan.workloads.values() for protocol in workload.ports.values()}
    assert protocols >= {"http", "grpc"}
    (reviews,) = (v for v in result.view.virtual_services if v.name == "reviews")
    assert [route.weight for route in reviews.spec.http[0].route] == [90, 9, 1]
