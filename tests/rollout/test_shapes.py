"""What is put around a canary's routes while a release goes on, and that nothing of it stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from releases import CANARY, GATEWAY_ROUTES, ROUTES, SURROUNDINGS

from windvane.kit.errors import BadInputError, NotFoundError, WindvaneError
from windvane.kit.yaml_nodes import FileError
from windvane.mesh.files import FileSource
from windvane.rollout.machine import Shape
from windvane.rollout.plan import Plan, read
from windvane.rollout.weights import changed, find, locate


def plan(analysis: str = "", spec: str = "", canary: str = CANARY) -> Plan:
    """A plan with these lines more."""
    return read(canary.replace("  canary: v2\n", f"  canary: v2\n{spec}") + analysis, "canary.yaml")


AFFINE = plan("    sessionAffinity: {cookieName: seen, primaryCookieName: stayed, secure: true}\n")
MATCHING = plan(
    "    iterations: 3\n    match:\n      - {headers: {x-tester: {exact: 'yes'}}, sourceLabels: {app: web}}\n"
    "      - cookies: {beta: always}\n"
)
MIRRORED = plan("    mirror: true\n    mirrorWeight: 25\n")
GATEWAY = "  provider: gatewayapi:v1\n"
CASES = [
    (AFFINE, Shape(20, cookie="c0ffee")),
    (MATCHING, Shape(0, matching=True)),
    (MIRRORED, Shape(0, mirror=25)),
]


def rules(text: str, number: int = 0) -> list[dict[str, Any]]:
    spec = list(yaml.safe_load_all(text))[number]["spec"]
    return list(spec["http"] if "http" in spec else spec["rules"])


def findings(text: str, folder: Path) -> list[str]:
    """What `windvane analyze` would tell of these routes in their mesh."""
    file = folder / "mesh.yaml"
    file.write_text(f"{SURROUNDINGS}---\n{text}", encoding="utf-8")
    return [f"{one.code} {one.message}" for one in FileSource([file]).load().findings]


def in_one_line(text: str) -> str:
    """The same objects, each in one line of JSON-like YAML."""
    documents = yaml.safe_load_all(text)
    return "---\n".join(yaml.safe_dump(one, default_flow_style=True, width=10**6, sort_keys=False) for one in documents)


@pytest.mark.parametrize(("which", "shape"), CASES)
@pytest.mark.parametrize(
    "how", [str, in_one_line, lambda text: f"\ufeff{text.replace('who', '谁é')}".replace("\n", "\r\n")]
)
def test_afterwards_a_file_is_as_it_was(which: Plan, shape: Shape, how: Any, tmp_path: Path) -> None:
    text = how(ROUTES)
    during = changed(text, "routes.yaml", which, shape)
    assert during != text
    assert changed(during, "routes.yaml", which, shape) == during
    assert set(findings(during, tmp_path)) <= set(findings(text, tmp_path))
    assert changed(during, "routes.yaml", which, 0) == text
    # What people change meanwhile stays, and what they put between stays too.
    edited = during.replace("  hosts: [ratings]", "  hosts: [ratings, rated]").replace("jason", "mason")
    assert changed(edited, "routes.yaml", which, 0) == text.replace(
        "  hosts: [ratings]", "  hosts: [ratings, rated]"
    ).replace("jason", "mason")


def test_users_stay_with_the_version_they_saw() -> None:
    testers, canary, baseline, divided = rules(changed(ROUTES, "", AFFINE, Shape(20, cookie="c0ffee")))
    assert testers["route"][0]["destination"]["subset"] == "v3"
    assert canary["match"] == [{"headers": {"cookie": {"regex": r"(.*;\s*)?seen=c0ffee(;.*)?"}}}]
    assert [one["destination"]["subset"] for one in canary["route"]] == ["v2"]
    assert [one["destination"]["subset"] for one in baseline["route"]] == ["v1"]
    cookies = [one["headers"]["response"]["add"]["Set-Cookie"] for one in divided["route"]]
    assert cookies == ["stayed=c0ffee; Max-Age=60; Path=/; Secure", "seen=c0ffee; Max-Age=86400; Path=/; Secure"]
    assert [one["weight"] for one in divided["route"]] == [80, 20]


def test_who_matches_gets_the_canary_and_keeps_the_settings_of_the_route() -> None:
    text = ROUTES.replace("    - route:\n", "    - timeout: 3s\n      match: [{uri: {prefix: /v}}]\n      route:\n")
    _, own, rest = rules(changed(text, "", MATCHING, Shape(0, matching=True)))
    tester = {"headers": {"x-tester": {"exact": "yes"}}, "sourceLabels": {"app": "web"}}
    assert own["match"] == [
        {"uri": {"prefix": "/v"}, **tester},
        {"uri": {"prefix": "/v"}, "headers": {"cookie": {"regex": r"(.*;\s*)?beta=always(;.*)?"}}},
    ]
    assert (own["timeout"], len(own["route"]), "weight" in own["route"][0]) == ("3s", 1, False)
    assert [one["weight"] for one in rest["route"]] == [100, 0]


def test_copies_go_to_the_canary() -> None:
    route = rules(changed(ROUTES, "", MIRRORED, Shape(0, mirror=25)))[1]
    assert route["mirrors"] == [{"destination": {"host": "reviews", "subset": "v2"}, "percentage": {"value": 25}}]
    own = ROUTES.replace("    - route:\n", "    - mirrors: [{destination: {host: log}}]\n      route:\n")
    mirrors = rules(changed(own, "", MIRRORED, Shape(0, mirror=25)))[1]["mirrors"]
    assert [one["destination"]["host"] for one in mirrors] == ["log", "reviews"]
    with pytest.raises(BadInputError, match=r"routes.yaml:11: the route mirrors already"):
        changed(own.replace("mirrors: [{destination: {host: log}}]", "mirror: {host: log}"), "routes.yaml", MIRRORED,
                Shape(0, mirror=25))  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "which", "shape", "message"),
    [
        ("    - route:\n", "    - match: [{headers: {x-tester: {exact: maybe}}}]\n      route:\n", MATCHING,
         Shape(0, matching=True), "routes.yaml:11: the route and the release both match by headers.x-tester"),
        ("subset: v2}}\n", "subset: v2}, headers: {response: {add: {Set-Cookie: a=b}}}}\n", AFFINE,
         Shape(20, cookie="x"), "routes.yaml:11: a destination adds a Set-Cookie of its own"),
        ("# who gets the reviews", "# windvane shop/reviews: begin", AFFINE, Shape(20), "has lost its other half"),
    ],
)  # fmt: skip
def test_what_cannot_be_put_in(old: str, new: str, which: Plan, shape: Shape, message: str) -> None:
    text = ROUTES.replace(old, new, 1)
    assert text != ROUTES
    with pytest.raises(WindvaneError) as error:
        changed(text if "begin" not in new else f"\n{text}", "routes.yaml", which, shape)
    assert message in error.value.message


@pytest.mark.parametrize("how", [str, in_one_line])
@pytest.mark.parametrize(
    ("analysis", "shape"),
    [
        ("    sessionAffinity: {cookieName: seen}\n", Shape(20, cookie="c0ffee")),
        ("    iterations: 3\n    match: [{headers: {x-tester: {prefix: 'y.'}, x-any: {}}, method: {exact: GET}}]\n",
         Shape(0, matching=True)),
        ("    mirror: true\n    mirrorWeight: 25\n", Shape(0, mirror=25)),
    ],
)  # fmt: skip
def test_an_http_route(analysis: str, shape: Shape, how: Any, tmp_path: Path) -> None:
    which, text = plan(analysis, GATEWAY), how(GATEWAY_ROUTES)
    during = changed(text, "routes.yaml", which, shape)
    assert changed(during, "routes.yaml", which, shape) == during != text
    assert set(findings(during, tmp_path)) <= set(findings(text, tmp_path))
    assert changed(during, "routes.yaml", which, 0) == text
    found = rules(during)
    assert [one.get("weight") for one in found[-1]["backendRefs"]] == ([80, 20] if shape.cookie else [1, 0])
    if shape.cookie:
        assert found[0]["matches"][0]["headers"][0]["name"] == "cookie"
        added = found[-1]["backendRefs"][1]["filters"][0]["responseHeaderModifier"]["add"]
        assert added == [{"name": "Set-Cookie", "value": "seen=c0ffee; Max-Age=86400; Path=/"}]
    elif shape.matching:
        (match,) = found[0]["matches"]
        assert match == {
            "path": {"type": "PathPrefix", "value": "/"}, "method": "GET",
            "headers": [{"type": "RegularExpression", "value": r"y\..*", "name": "x-tester"},
                        {"type": "RegularExpression", "value": ".*", "name": "x-any"}],
        }  # fmt: skip
        assert [one["name"] for one in found[0]["backendRefs"]] == ["reviews-v2"]
    else:
        assert found[0]["filters"][-1]["requestMirror"] == {
            "backendRef": {"name": "reviews-v2", "port": 9080}, "percent": 25,
        }  # fmt: skip


def test_json_has_no_comments() -> None:
    text = json.dumps(next(yaml.safe_load_all(ROUTES)), indent=2)
    assert json.loads(changed(text, "routes.json", AFFINE, 20))["spec"]["http"][1]["route"][1]["weight"] == 20
    few = text.replace("100", "3")
    assert json.loads(changed(few, "routes.json", AFFINE, 20))["spec"]["http"][1]["route"][1]["weight"] == 1
    with pytest.raises(BadInputError, match=r"routes\.json: copies, matches and cookies are put in between comments"):
        changed(text, "routes.json", AFFINE, Shape(20, cookie="x"))


def weighted(weights: list[int]) -> str:
    """A route with these weights; the first two are of the release."""
    targets = "".join(
        f"        - {{weight: {weight}, destination: {{host: reviews, subset: v{number + 1}}}}}\n"
        for number, weight in enumerate(weights)
    )
    return f"{ROUTES.partition('    - match')[0]}    - route:\n{targets}"


@given(st.lists(st.integers(0, 60), min_size=2, max_size=4), st.lists(st.integers(0, 100), max_size=4))
@settings(max_examples=15, deadline=None)
def test_shares_are_exact_and_come_back(weights: list[int], steps: list[int]) -> None:
    weights[1] = 0
    text = weighted(weights)
    whole = weights[0] or 100
    now = text
    for weight in steps:
        now = changed(now, "routes.yaml", AFFINE, weight)
        found = find(now, "", AFFINE)[0].weights
        away = abs(found[1] - weight / 100 * (found[0] + found[1]))
        assert away <= min(0.1 * weight / 100, 0.005) * (found[0] + found[1])
        for own, before in zip(found[2:], weights[2:], strict=True):
            assert own * whole == before * (found[0] + found[1])
    if weights[0]:
        assert changed(now, "routes.yaml", AFFINE, 0) == text


def test_weights_that_people_change_while_all_are_scaled_are_taken() -> None:
    during = changed(weighted([1, 0, 1]), "routes.yaml", AFFINE, 5)
    assert find(during, "", AFFINE)[0].weights == (95, 5, 100)
    edited = during.replace("weight: 100,", "weight: 60,")
    assert find(changed(edited, "", AFFINE, 50), "", AFFINE)[0].weights == (50, 50, 60)


def test_the_file_that_routes_a_release_is_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no VirtualService routes reviews.shop to the subsets v1 and v2 in any"):
        locate(tmp_path, AFFINE)
    (tmp_path / "more").mkdir()
    own, other = tmp_path / "more" / "routes.yaml", tmp_path / "other.yaml"
    own.write_text(ROUTES, encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("kind: VirtualService\n  reviews: [v1, v2]", encoding="utf-8")
    assert locate(tmp_path, AFFINE) == locate(own, AFFINE) == own
    own.write_text(changed(ROUTES, "", MATCHING, Shape(0, matching=True)), encoding="utf-8")
    assert locate(tmp_path, MATCHING) == own
    other.write_text(ROUTES.replace("{name: reviews,", "{name: outside,"), encoding="utf-8")
    with pytest.raises(BadInputError, match=r"routes.yaml and .*other.yaml all route reviews.shop to both versions"):
        locate(tmp_path, AFFINE)
    assert locate(tmp_path, plan(spec="  routeRef: {name: outside}\n")) == other
    with pytest.raises(NotFoundError, match="no HTTPRoute of shop routes to the services reviews-v1 and reviews-v2"):
        locate(tmp_path, plan(spec=GATEWAY))
    own.unlink()
    other.unlink()
    with pytest.raises(FileError, match=r"broken\.yaml"):
        locate(tmp_path, AFFINE)
