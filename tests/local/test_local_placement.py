"""Places of workloads: distinct, bindable, stable under edits and restarts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from local_helpers import GATEWAY, service

from windvane.kit.values import Address
from windvane.local.addresses import claim
from windvane.local.placement import Allocator
from windvane.mesh.placement import Placement
from windvane.mesh.view import MeshView

Mesh = Callable[[str], MeshView]
GATEWAY_AT = Address("127.0.0.1", 28080)


def anything(_: str, __: int) -> bool:
    return True


def own_addresses(_: str, port: int) -> bool:
    """A machine on which other programs hold every third port."""
    return port % 3 != 0


def one_address(address: str, port: int) -> bool:
    """The same, with no loopback address but 127.0.0.1."""
    return address == "127.0.0.1" and (port % 3 != 0 or port % 1000 == 0)


def sockets(placement: Placement) -> list[tuple[str, int]]:
    """Every address and port that a placement gives out."""
    return [
        (place.address, port)
        for place in placement.places.values()
        for port in (
            place.http_proxy,
            place.admin,
            *place.inbound.values(),
            *place.app.values(),
            *place.outbound.values(),
        )
    ]


@pytest.mark.parametrize("bindable", [own_addresses, one_address])
def test_nothing_is_given_twice_even_to_two_meshes(
    bindable: Callable[[str, int], bool], mesh: Mesh, tmp_path: Path
) -> None:
    view = mesh(GATEWAY + service("a") + service("b") + service("c", protocol="tcp", port=5432))
    claims = [claim(tmp_path, bindable=bindable) for _ in range(2)]
    given = [Allocator(held, GATEWAY_AT).update(view) for held in claims]
    everything = [pair for placement in given for pair in sockets(placement)]
    assert len(everything) == len(set(everything)) > 40
    assert all(bindable(*pair) for pair in everything)


def test_a_workload_has_an_address_of_its_own_and_keeps_its_ports_number(mesh: Mesh, tmp_path: Path) -> None:
    placement = Allocator(claim(tmp_path, bindable=anything), GATEWAY_AT).update(mesh(service("a") + service("b")))
    a, b = (placement.places[key] for key in ("a-v1.d", "b-v1.d"))
    assert a.address != b.address
    assert a.inbound == b.inbound == {8080: 8080}
    assert set(a.outbound) == {"a.d.svc.cluster.local:8080", "b.d.svc.cluster.local:8080"}


def test_the_gateway_listens_where_it_is_wanted(mesh: Mesh, tmp_path: Path) -> None:
    place = (
        Allocator(claim(tmp_path, bindable=anything), GATEWAY_AT)
        .update(mesh(GATEWAY + service("a")))
        .places["gw.istio-system"]
    )
    assert (place.address, dict(place.inbound), dict(place.app)) == ("127.0.0.1", {80: 28080}, {})


def test_a_workload_with_an_address_is_left_alone(mesh: Mesh, tmp_path: Path) -> None:
    text = service("a").replace("  serviceAccount: a", "  serviceAccount: a\n  address: 10.0.0.1")
    assert Allocator(claim(tmp_path, bindable=anything), GATEWAY_AT).update(mesh(text)).places == {}


def test_edits_extend_and_never_move_what_stays(mesh: Mesh, tmp_path: Path) -> None:
    allocator = Allocator(claim(tmp_path, bindable=anything), GATEWAY_AT)
    before = allocator.update(mesh(service("b") + service("c")))
    after = allocator.update(mesh(service("a") + service("b") + service("c")))
    for key in before.places:
        was, now = before.places[key], after.places[key]
        assert (was.address, was.admin, was.inbound, was.app) == (now.address, now.admin, now.inbound, now.app)
        assert was.outbound.items() < now.outbound.items()


def test_an_address_is_not_given_to_another_workload_and_waits_for_its_own(mesh: Mesh, tmp_path: Path) -> None:
    allocator = Allocator(claim(tmp_path, bindable=anything), GATEWAY_AT)
    first = allocator.update(mesh(service("a") + service("b")))
    second = allocator.update(mesh(service("b") + service("z")))
    assert set(second.places) == {"b-v1.d", "z-v1.d"}
    assert second.places["z-v1.d"].address != first.places["a-v1.d"].address
    assert "a.d.svc.cluster.local:8080" not in second.places["b-v1.d"].outbound
    assert allocator.update(mesh(service("a") + service("b"))).places == first.places


def test_a_restarted_mesh_has_its_places_again(mesh: Mesh, tmp_path: Path) -> None:
    view = mesh(service("a") + service("b"))
    first_claim = claim(tmp_path, bindable=anything)
    first = Allocator(first_claim, GATEWAY_AT).update(view)
    prefix = first_claim.prefix
    first_claim.close()
    again = Allocator(claim(tmp_path, prefer=prefix, bindable=anything), GATEWAY_AT)
    again.restore(Placement.from_json(first.to_json()))
    assert again.update(view) == first
