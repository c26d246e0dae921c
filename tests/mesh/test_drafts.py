"""Drafts: resources of an intention joined with those of a mesh, and put into its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from windvane.kit.errors import BadInputError, ConflictError
from windvane.mesh import authoring
from windvane.mesh.drafts import Draft, draft, read, text_of
from windvane.mesh.files import FileSource
from windvane.mesh.merging import merged

ROUTES = """\
# Who gets which reviews.
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: book-routes, namespace: shop}
spec:
  hosts: [reviews]
  http:
    - match: [{headers: {end-user: {exact: jason}}}]
      route: [{destination: {host: reviews, subset: v2}}]
    - timeout: 3s # patience
      route: [{destination: {host: reviews, subset: v1}}]
"""
RULE = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec:
  host: reviews.shop.svc.cluster.local
  trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}
  subsets:
    - {name: v1, labels: {version: v1}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mesh").mkdir()
    (tmp_path / "mesh" / "routing.yaml").write_text(f"{ROUTES}---\n{RULE}")
    return tmp_path / "mesh"


def drafted(folder: Path, made: list[authoring.Resource], what: str, name: str = "reviews-canary") -> Draft:
    source = FileSource([folder])
    source.load()
    live = source.written()
    return draft(read(text_of(merged(made, what, live), live)), live, source.texts(), [folder], name)


def canary(service: str = "reviews") -> list[authoring.Resource]:
    return authoring.canary(service, "shop", {"v1": 90, "v3": 10}, label="version", port=None)


def rules(made: Draft) -> list[dict[str, object]]:
    routes = next(one for one in made.resources if one.kind == "VirtualService")
    found: list[dict[str, object]] = read(routes.after)[0].value["spec"]["http"]
    return found


def test_written_resources_have_their_own_text_and_place(folder: Path) -> None:
    source = FileSource([folder])
    source.load()
    routes, rule = source.written()
    assert (routes.key, routes.line, routes.text) == (("VirtualService", "shop", "book-routes"), 1, ROUTES)
    assert (rule.key, rule.line, rule.text, rule.whole) == (("DestinationRule", "shop", "reviews"), 13, RULE, True)
    (folder / "routing.yaml").write_text(ROUTES.replace("3s # patience", "3s"))
    source.load()
    assert source.written()[0].digest == routes.digest  # a comment means nothing


def test_namesakes_of_two_groups_are_told_apart(tmp_path: Path) -> None:
    names = "kind: Gateway, metadata: {name: door, namespace: shop}"
    (tmp_path / "doors.yaml").write_text(
        f"{{apiVersion: networking.istio.io/v1, {names}}}\n---\n{{apiVersion: gateway.networking.k8s.io/v1, {names}}}\n"
    )
    source = FileSource([tmp_path])
    source.load()
    assert [one.kind for one in source.written()] == ["Gateway", "Gateway.gateway.networking.k8s.io"]
    assert {one.reference for one in source.written()} == {"Gateway shop/door"}


def test_a_canary_goes_into_the_rule_for_all_other_requests(folder: Path) -> None:
    made = drafted(folder, canary(), "canary")
    matched, others = rules(made)
    assert matched["match"] == [{"headers": {"end-user": {"exact": "jason"}}}]
    assert others["timeout"] == "3s"
    assert [one["weight"] for one in others["route"]] == [90, 10]  # type: ignore[attr-defined]
    rule = next(one for one in made.resources if one.kind == "DestinationRule")
    spec = read(rule.after)[0].value["spec"]
    assert [one["name"] for one in spec["subsets"]] == ["v1", "v3"]
    assert spec["trafficPolicy"] == {"connectionPool": {"tcp": {"maxConnections": 7}}}


def test_documents_take_their_place_and_keep_the_comments_before_them(folder: Path) -> None:
    made = drafted(folder, canary(), "canary")
    assert [edit.file.name for edit in made.edits] == ["routing.yaml"]
    after = made.edits[0].after
    assert after.startswith("# Who gets which reviews.\napiVersion")
    assert after.count("---\n") == 1
    assert [(one.name, one.loses_comments) for one in made.resources] == [("book-routes", True), ("reviews", False)]
    assert FileSource([]).load_texts(made.texts).accepted


def test_what_stays_looks_as_it_did(folder: Path) -> None:
    made = drafted(folder, authoring.canary("reviews", "shop", {"v1": 1}, label="version", port=None), "canary")
    routes, rule = made.resources
    assert "metadata: {name: book-routes, namespace: shop}\n" in routes.after
    assert "    - match: [{headers: {end-user: {exact: jason}}}]\n" in routes.after
    assert "      route: [{destination: {host: reviews, subset: v1}, weight: 1}]\n" in routes.after
    assert (rule.after, rule.before) == (RULE, RULE)


def test_a_timeout_is_set_on_every_route_and_a_fault_for_some_stands_first(folder: Path) -> None:
    patient = drafted(folder, authoring.patient("reviews", "shop", {"timeout": "1s"}, port=None), "timeout")
    assert [one["timeout"] for one in rules(patient)] == ["1s", "1s"]
    match = authoring.header_match({"x-test": "1"}, {})
    abort = {"abort": {"httpStatus": 503, "percentage": {"value": 100}}}
    failing = rules(drafted(folder, authoring.fault("reviews", "shop", abort, match, port=None), "fault"))
    assert [one.get("match") for one in failing] == [[match], [{"headers": {"end-user": {"exact": "jason"}}}], None]
    assert failing[0]["route"] == failing[2]["route"]
    everyone = rules(drafted(folder, authoring.fault("reviews", "shop", abort, {}, port=None), "fault"))
    assert [one["fault"] for one in everyone] == [abort, abort]


def test_an_experiment_keeps_other_matches(folder: Path) -> None:
    match = authoring.header_match({}, {"group": "b"})
    made = rules(drafted(folder, authoring.ab("reviews", "shop", match, "v3", "v1", label="version", port=None), "ab"))
    assert [one.get("match") for one in made] == [[match], [{"headers": {"end-user": {"exact": "jason"}}}], None]
    assert made[2]["timeout"] == "3s"


def test_new_resources_get_one_new_file(folder: Path) -> None:
    (folder / "ratings-canary.yaml").write_text("")
    made = drafted(folder, canary("ratings"), "canary", "ratings-canary")
    assert [(edit.file.name, edit.before) for edit in made.edits] == [("ratings-canary-2.yaml", None)]
    assert made.edits[0].after.count("kind:") == 2


def test_without_a_directory_new_resources_go_to_the_end_of_the_first_file(folder: Path) -> None:
    file = folder / "routing.yaml"
    source = FileSource([file])
    source.load()
    made = draft(read(text_of(canary("ratings"))), source.written(), source.texts(), [file], "ratings-canary")
    assert made.edits[0].after.startswith(f"{ROUTES}---\n{RULE}---\napiVersion")


def test_a_gateways_routes_are_left_alone(folder: Path) -> None:
    text = ROUTES.replace("spec:\n", "spec:\n  gateways: [door]\n").replace("book-routes", "reviews")
    (folder / "routing.yaml").write_text(text)
    made = drafted(folder, canary(), "canary")
    assert [(one.kind, one.name, one.before) for one in made.resources] == [
        ("VirtualService", "reviews-canary", ""),
        ("DestinationRule", "reviews", ""),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a draft consists of documents"),
        ("kind: [", "line 1: not YAML"),
        ("{kind: VirtualService, metadata: {}}", "a draft consists of documents"),
        ("{kind: WorkloadEntry, metadata: {name: a}}", "WorkloadEntry cannot be drafted here, only VirtualService"),
        ("{kind: List, items: [{kind: Pod, metadata: {name: a}}]}", "Pod cannot be drafted here"),
    ],
)
def test_what_is_no_draft(text: str, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        read(text)


def test_an_item_of_a_list_is_changed_by_hand(folder: Path) -> None:
    (folder / "routing.yaml").write_text(
        "apiVersion: v1\nkind: List\nitems:\n" + "".join(f"  {'- ' if n == 0 else '  '}{line}\n"
                                                        for n, line in enumerate(RULE.splitlines()))
    )  # fmt: skip
    with pytest.raises(ConflictError, match="DestinationRule shop/reviews is an item of a List"):
        drafted(folder, canary(), "canary")


def test_a_secrets_values_are_shown_to_nobody(tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text(
        """
apiVersion: v1
kind: Secret
metadata: {name: cert, namespace: shop, annotations: {applied: topsecret}}
type: Opaque
stringData: {key: topsecret}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: "extensionProviders: []"
"""
    )
    source = FileSource((tmp_path,))
    source.load()
    secret, mesh = source.written()
    assert "topsecret" in secret.text
    assert "topsecret" not in secret.shown
    assert "key: hidden" in secret.shown
    assert mesh.shown == mesh.text
    assert secret.digest
    assert mesh.digest
