"""Localities: who is asked first, who takes over, who gets which share; as computed and by a real Envoy."""

from __future__ import annotations

import asyncio
from collections import Counter
from fractions import Fraction
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xds_mesh import SHOP, running_mesh, view_of

from windvane.mesh.models import LoadBalancerSettings, OutlierDetection
from windvane.mesh.view import MeshWorkload
from windvane.xds.endpoints import AssignmentSpec as Assignment
from windvane.xds.endpoints import EndpointSpec, assignment_message
from windvane.xds.localities import is_weighted, matches, needs_labels, placed, topology_labels
from windvane.xds.policy import Policy

HERE = "eu/1/a"
PLACES = ("us/1", "eu/2", "eu/1/b", "eu/1/a", "ap/1", "")


def policy(setting: object = None, *, outliers: bool = True) -> Policy:
    balancer = None if setting is None else LoadBalancerSettings.model_validate({"localityLbSetting": setting})
    return Policy(balancer, outlier_detection=OutlierDetection() if outliers else None)


def endpoints(*places: str) -> tuple[EndpointSpec, ...]:
    return tuple(EndpointSpec("127.0.0.1", 9000 + n, False, locality=place) for n, place in enumerate(places))


def order(wanted: Policy, *places: str, here: str = HERE) -> dict[str, int]:
    return {each.locality: each.priority for each in placed(endpoints(*places), wanted, here)}


def test_the_nearest_come_first_where_outliers_are_detected() -> None:
    assert order(policy(), *PLACES) == {"eu/1/a": 0, "eu/1/b": 1, "eu/2": 2, "us/1": 3, "ap/1": 3, "": 3}
    assert order(policy(), "eu/2", "us/1") == {"eu/2": 0, "us/1": 1}, "priorities have no gaps"
    assert set(order(policy(outliers=False), *PLACES).values()) == {0}
    assert set(order(policy({"enabled": False}), *PLACES).values()) == {0}


def test_the_region_that_takes_over_comes_before_others() -> None:
    wanted = policy({"failover": [{"from": "us", "to": "eu"}, {"from": "eu", "to": "ap"}]})
    assert order(wanted, *PLACES) == {"eu/1/a": 0, "eu/1/b": 1, "eu/2": 2, "ap/1": 3, "us/1": 4, "": 4}
    assert is_weighted(wanted)
    assert not is_weighted(policy({"failover": [{"from": "us", "to": "eu"}]}, outliers=False))


def labelled(*labels: dict[str, str], here: dict[str, str], wanted: Policy, distribution: str = "") -> list[int]:
    found = tuple(EndpointSpec("127.0.0.1", 9000 + n, False, labels=each) for n, each in enumerate(labels))
    return [each.priority for each in placed(found, wanted, "", labels=here, distribution=distribution)]


def test_labels_shared_with_the_client_come_first_in_the_order_they_are_listed() -> None:
    wanted = policy({"failoverPriority": ["a", "b", "c"]})
    ends = ({"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "1"}, {"a": "1", "c": "1"}, {"b": "1", "c": "1"}, {})
    assert labelled(*ends, here={"a": "1", "b": "1", "c": "1"}, wanted=wanted) == [0, 1, 2, 3, 3]
    assert labelled(*ends, here={}, wanted=wanted) == [2, 2, 2, 1, 0], "a label that neither has is alike"
    assert needs_labels(wanted)
    given = policy({"failoverPriority": ["a=2", "b"]})
    assert labelled({"a": "2", "b": "1"}, {"a": "2"}, {"b": "1"}, here={"b": "1"}, wanted=given) == [0, 1, 2]
    idle = policy({"failoverPriority": ["a"]}, outliers=False)
    assert labelled({"a": "1"}, {}, here={"a": "1"}, wanted=idle) == [0, 0]
    assert is_weighted(wanted)


def test_a_services_traffic_distribution_needs_no_outlier_detection() -> None:
    def ends(*places: str) -> list[dict[str, str]]:
        return [topology_labels(workload(place), "c1") for place in places]

    def workload(place: str) -> MeshWorkload:
        return MeshWorkload("w", "n", {}, {}, "default", locality=place)

    here, plain = ends("eu/1/a")[0], policy(outliers=False)
    found = labelled(*ends("us/1", "eu/2", "eu/1/b", "eu/1/a"), here=here, wanted=plain, distribution="PreferClose")
    assert found == [3, 2, 1, 0]
    off = policy({"enabled": False}, outliers=False)
    assert labelled(*ends("us/1", "eu/1/a"), here=here, wanted=off, distribution="PreferClose") == [0, 0]


def test_zone_aware_balancing_parts_regions_only() -> None:
    zones = LoadBalancerSettings.model_validate({"zoneAwareLbSetting": {"failover": [{"from": "eu", "to": "ap"}]}})
    wanted = Policy(zones)
    assert order(wanted, *PLACES) == {"eu/1/a": 0, "eu/1/b": 0, "eu/2": 0, "ap/1": 1, "us/1": 2, "": 2}
    assert not is_weighted(wanted)


def test_shares_by_locality() -> None:
    wanted = policy(
        {"distribute": [{"from": "us/*", "to": {"us": 100}}, {"from": "eu/1/*", "to": {"eu/*": 75, "us/1": 25}}]}
    )
    found = placed(endpoints("eu/1", "eu/2", "us/1", "ap/1"), wanted, HERE)
    assert {each.locality: each.locality_weight for each in found} == {"eu/1": 38, "eu/2": 38, "us/1": 25}
    assert placed(endpoints(*PLACES), wanted, "ap/1") == endpoints(*PLACES), "no rule for this locality"
    groups = assignment_message(Assignment("c", found)).endpoints
    assert [group.load_balancing_weight for group in groups] == [38, 38, 25]


@pytest.mark.parametrize(
    ("locality", "pattern", "expected"),
    [
        ("eu/1/a", "*", True),
        ("eu/1/a", "eu", True),
        ("eu/1/a", "eu/*", True),
        ("eu/1/a", "eu/1", True),
        ("eu/1/a", "eu/1/*", True),
        ("eu/1/a", "eu/1/b", False),
        ("eu", "eu/1", False),
        ("", "*", True),
        ("", "eu", False),
    ],
)
def test_patterns_of_localities(locality: str, pattern: str, expected: bool) -> None:
    assert matches(locality, pattern) is expected


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(PLACES), st.integers(1, 5)), min_size=1, max_size=8),
    st.dictionaries(st.sampled_from(["eu/1/*", "eu/2", "us", "ap/1"]), st.integers(1, 100), min_size=1),
)
def test_shares_are_those_asked_for_whatever_the_endpoints(
    members: list[tuple[str, int]], wanted: dict[str, int]
) -> None:
    made = tuple(
        EndpointSpec("127.0.0.1", number, False, weight, place) for number, (place, weight) in enumerate(members, 1)
    )
    found = placed(made, policy({"distribute": [{"from": "*", "to": wanted}]}), HERE)
    assert {each.port for each in found} == {
        each.port for each in made if any(matches(each.locality, pattern) for pattern in wanted)
    }
    for pattern, share in wanted.items():
        weights = {each.locality: each.locality_weight for each in found if matches(each.locality, pattern)}
        if weights:
            assert 0 <= sum(weights.values()) - share < len(weights), "each is rounded up"
        own = {place: sum(w for p, w in members if p == place) for place in weights}
        for place, weight in weights.items():
            assert 0 <= weight - Fraction(own[place] * share, sum(own.values())) < 1


OUTLIERS = "outlierDetection: {consecutive5xxErrors: 1, interval: 0.1s, baseEjectionTime: 60s, maxEjectionPercent: 100}"


def located(traffic: str) -> str:
    """The shop with its reviews in two regions; the client is in one of them."""
    text = SHOP
    for name, place in (("web", "eu/1"), ("reviews-v1", "eu/1"), ("reviews-v2", "us/1")):
        app = name.partition("-")[0]
        version = name.partition("-v")[2] or "1"
        entry = f"spec: {{labels: {{app: {app}, version: v{version}}}, serviceAccount: {app}}}"
        assert entry in text
        text = text.replace(entry, entry[:-1] + f", locality: {place}}}")
    return text.replace("  host: reviews\n", f"  host: reviews\n  trafficPolicy: {{{traffic}}}\n")


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
def test_a_real_envoy_stays_near_takes_over_and_shares(tmp_path: Path) -> None:
    v1, v2 = "reviews-v1.shop", "reviews-v2.shop"

    async def scenario() -> None:
        view = view_of(located(OUTLIERS), tmp_path)
        async with running_mesh(view, tmp_path, "web-v1.shop", v1, v2) as mesh, httpx.AsyncClient() as client:
            place = mesh.place("web-v1.shop")
            address = f"http://{place.address}:{place.outbound['reviews.shop.svc.cluster.local:9080']}/"

            async def answers(number: int) -> Counter[str]:
                return Counter([(await client.get(address)).text for _ in range(number)])

            assert await answers(30) == {v1: 30}
            shares = 'loadBalancer: {localityLbSetting: {distribute: [{from: eu/*, to: {"eu/*": 20, "us/*": 80}}]}}'
            mesh.plane.update(view_of(located(shares), tmp_path), mesh.placement)
            await mesh.synced("web-v1.shop")
            for _ in range(100):
                if v2 in await answers(5):
                    break
            found = await answers(200)
            assert 0.6 < found[v2] / 200 < 0.95
            warm = "loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 1s, aggression: 2, minimumPercent: 10}}"
            mesh.plane.update(view_of(located(warm), tmp_path), mesh.placement)
            await mesh.synced("web-v1.shop")
            assert set(await answers(40)) == {v1, v2}

    asyncio.run(asyncio.wait_for(scenario(), 90))


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
def test_the_other_region_takes_over_when_the_near_one_is_gone(tmp_path: Path) -> None:
    async def scenario() -> None:
        view = view_of(located(OUTLIERS), tmp_path)
        async with running_mesh(view, tmp_path, "web-v1.shop", "reviews-v2.shop") as mesh:
            place = mesh.place("web-v1.shop")
            address = f"http://{place.address}:{place.outbound['reviews.shop.svc.cluster.local:9080']}/"
            async with httpx.AsyncClient() as client:
                # Nobody listens at the near one: it is ejected, and then every request goes to the other region.
                for _ in range(100):
                    if (await client.get(address)).status_code == 200:
                        break
                answers = Counter([(await client.get(address)).text for _ in range(20)])
                assert answers == {"reviews-v2.shop": 20}

    asyncio.run(asyncio.wait_for(scenario(), 90))
