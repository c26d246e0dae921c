"""`windvane diff`: requests are asked of both configurations on real Envoys; what differs is told, weighted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from windvane.cli import diff
from windvane.cli.mesh_files import load_view
from windvane.kit.errors import BadInputError
from windvane.local.diff.alike import told_apart
from windvane.local.diff.compare import Kind, differences
from windvane.local.diff.configured import Configured, flat
from windvane.local.diff.derive import Derived
from windvane.local.diff.distinct import plan
from windvane.local.diff.recorded import Recorded
from windvane.local.diff.run import Answer
from windvane.local.diff.structure import structure
from windvane.local.trial.outcome import Outcome
from windvane.mesh.view import MeshView

DATA = Path(__file__).parent / "data"
EDITS = (
    ("subset: v1}, weight: 80}", "subset: v1}, weight: 50}"),
    ("subset: v2}, weight: 20}", "subset: v2}, weight: 50}"),
    ("rewrite: {uri: /new/, authority: other.example}", "rewrite: {uri: /newer/}\n    timeout: 3s"),
    ('paths: ["/reviews/{*}", "/health*"]', 'paths: ["/reviews/{*}"]'),
    ("redirect: {uri: /here, redirectCode: 302}", "redirect: {uri: /there, redirectCode: 301}"),
)
POD = "productpage-v1-6b746f74dc-9stvs"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The old configuration and the new one."""
    folder = tmp_path_factory.mktemp("diff")
    text = "\n---\n".join((DATA / name).read_text() for name in ("books.yaml", "guarded.yaml"))
    (folder / "old.yaml").write_text(text)
    for before, after in EDITS:
        assert before in text
        text = text.replace(before, after)
    (folder / "new.yaml").write_text(text)
    return str(folder / "old.yaml"), str(folder / "new.yaml")


@pytest.fixture(scope="module")
def views(files: tuple[str, str]) -> tuple[MeshView, MeshView]:
    old, new = (load_view((file,), "default", "istio-system") for file in files)
    return old, new


def line(request: str, authority: str, cluster: str, identity: str, pod: str = POD) -> str:
    """As `kubectl logs --prefix` prints Istio's format."""
    return (
        f'[pod/{pod}/istio-proxy] [2026-01-01T00:00:00.000Z] "{request} HTTP/1.1" 200 - via_upstream - "-" 0 10 3 2 '
        f'"-" "curl" "{identity}" "{authority}" "10.0.0.1:9080" {cluster} 10.0.0.2:1 10.0.0.3:80 10.0.0.2:2 - default\n'
    )


REVIEWS, PAGE = (f"outbound|9080||{name}.default.svc.cluster.local" for name in ("reviews", "productpage"))


def test_requests_that_change_are_told_with_how_often_they_were(files: tuple[str, str], tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(
        "".join(line(f"GET /reviews/{number}", "reviews:9080", REVIEWS, f"a{number}") for number in range(50))
        + "".join(
            line(f"GET /reviews/{number}", "reviews:9080", "inbound|9080||", f"a{number}") for number in range(50)
        )
        + "".join(line(f"GET /healthz?x={number}", "reviews:9080", REVIEWS, f"b{number}") for number in range(25))
        + line("GET /gone/1", "productpage:9080", PAGE, "c")
        + line("GET /old/1", "productpage:9080", PAGE, "d")
        + line("GET /static/x", "books.example", PAGE, "e", "istio-ingressgateway-7f-x") * 20
        + line("GET /", "elsewhere.example", "PassthroughCluster", "f")
        + line("PROPFIND /", "reviews:9080", REVIEWS, "g")
        + "a line of another kind\n"
    )
    done = CliRunner().invoke(diff.command, [*files, "--traffic", str(log), "--n", "5", "--output", "json"])
    assert done.exit_code == 1, done.output
    found = json.loads(done.stdout_bytes)
    assert (found["requests"], found["distinct"], found["changed"]) == (97, 5, 77)
    assert found["left_out"]["method PROPFIND"] == 1
    assert any("elsewhere.example is no host of the mesh" in reason for reason in found["left_out"])
    assert any("(end-user, x-env)" in note for note in found["notes"])
    assert any("1 lines are no entries" in note for note in found["notes"])
    told = {each["request"].partition("?")[0]: each for each in found["changes"]}
    reviews = told["GET http://reviews:9080/reviews/0"]
    assert (reviews["requests"], reviews["forms"], reviews["kinds"]) == (50, 50, ["destination"])
    assert (
        reviews["differences"][0]["after"] == "reviews-v1.default (subset v1) 50 %, reviews-v2.default (subset v2) 50 %"
    )
    health = told["GET http://reviews:9080/healthz"]
    assert (health["kinds"], health["breaks"]) == (["answer", "denied", "destination"], True)
    assert set(told["GET http://productpage:9080/gone/1"]["kinds"]) == {"answer", "redirect"}
    assert set(told["GET http://productpage:9080/old/1"]["kinds"]) == {"path", "timeout"}


def test_requests_are_made_from_routes_and_policies(views: tuple[MeshView, MeshView]) -> None:
    derived = Derived()
    for view in views:
        derived.add(view)
    asked = {(each.method, each.authority, each.path, each.headers) for each in derived.requests}
    host = "productpage.default.svc.cluster.local:9080"
    assert {
        ("GET", host, "/old/", ()),
        ("GET", host, "/gone", ()),
        ("GET", host, "/", (("end-user", "jason"),)),
    } <= asked
    assert ("GET", "any.example", "/productpage", ()) in asked
    reviews = [each for each in derived.requests if each.authority.startswith("reviews") and each.path == "/healtha"]
    assert {(each.source, each.headers) for each in reviews} == {
        (source, headers) for source in ("", "productpage-v1", "cron") for headers in ((), (("x-env", "prod"),))
    }
    found = plan(views, derived.requests, 1_000)
    assert found.total == len(derived.requests)
    assert not found.left_out


def test_the_most_frequent_requests_come_first_and_others_are_told(views: tuple[MeshView, MeshView]) -> None:
    traffic = Counter({
        Recorded("GET", "reviews:9080", "/reviews/1", "productpage-v1", "default"): 5,
        Recorded("GET", "reviews.default.svc.cluster.local:9080", "/reviews/1", "productpage-v1", "default"): 7,
        Recorded("GET", "10.1.2.3:9080", "/reviews/2", "productpage-v1", "default", cluster=REVIEWS): 2,
        Recorded("GET", "reviews:9080", "/x", principal="spiffe://cluster.local/ns/other/sa/robot"): 3,
        Recorded("GET", "books.example", "/static/x"): 1,
        Recorded("GET", "", "/x"): 4,
    })  # fmt: skip
    found = plan(views, traffic, 2)
    assert [(each.client, each.count) for each in found.requests] == [
        ("productpage-v1.default", 9),
        ("productpage-v1.default", 5),
    ]
    assert found.beyond == (2, 4)
    assert found.left_out == {"no host is told": 4}
    assert found.views[1].workloads["windvane-try-robot.other"].service_account == "robot"
    rest = plan(views, traffic, 10).requests[2:]
    assert {each.client for each in rest} == {"windvane-try-robot.other", "istio-ingressgateway.istio-system"}


def test_what_meets_nothing_that_differs_need_not_be_asked(views: tuple[MeshView, MeshView]) -> None:
    derived = Derived()
    for view in views:
        derived.add(view)
    found = plan(views, derived.requests, 1_000)
    apart, alike = told_apart(found.views, found.requests)
    assert {each.asked.host.partition(".")[0] for each in apart} == {"reviews", "productpage"}
    assert {each.asked.host for each in alike} == {"api.example.com", "any.example"}
    assert told_apart((found.views[0], found.views[0]), found.requests)[1] == found.requests


def test_what_proxies_are_sent_differs_by_workload(views: tuple[MeshView, MeshView]) -> None:
    found = structure(*views)
    changed = {(each.kind, each.name): each for each in found.resources}
    listener = changed["listeners", "inbound|9080||"]
    assert listener.workloads == ("reviews-v1.default", "reviews-v2.default")
    [(path, before, after)] = [each for each in listener.fields if each[0].endswith("prefix")]
    assert (before, after) == ("/health", "")
    assert "policies.ns[default]-policy[readers]-rule[0]" in path
    weights = [each for each in changed["routes", "http_proxy"].fields if each[0].endswith("weight")]
    assert [(before, after) for _, before, after in weights] == [("80", "50"), ("20", "50")]
    assert structure(views[0], views[0]).resources == ()


def way(**given: Any) -> Outcome:
    usual = {
        "status": 200, "workload": "a.d", "cluster": "outbound|80||a.d", "route": "r", "flags": "",
        "details": "via_upstream", "refused_by": "", "count": 1, "share": 1.0, "low": 0.0, "high": 1.0, "attempts": 1,
        "median_ms": 1.0, "mirrored_to": (), "path": "/", "authority": "a",
    }  # fmt: skip
    return Outcome(**{**usual, **given})


def answer(*ways: Outcome, chance: bool = False, **route: str) -> Answer:
    said = Configured({"a.d": 1.0}, {"route.timeout": "0s", **route}, varies=chance, by_chance=chance)
    return Answer(ways or (way(),), said)


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        (answer(), answer(), []),
        (answer(), answer(way(status=503, flags="UF")), ["answer"]),
        (answer(), answer(way(status=403, refused_by="AuthorizationPolicy a/b, rule 0")), ["answer", "denied"]),
        (answer(), answer(way(route="s")), ["route"]),
        (answer(), answer(way(path="/x", authority="b")), ["path", "path"]),
        (answer(), answer(way(workload="b.d")), ["destination"]),
        (answer(), answer(way(workload="", status=503, flags="FI")), ["answer"]),
        (answer(), answer(way(mutual_tls="spiffe://x")), ["tls"]),
        (answer(), answer(way(mirrored_to=("m.d",))), ["mirror"]),
        (answer(), answer(way(request_headers={"added": {"x": "1"}})), ["headers"]),
        (answer(way(response_headers={"location": "/a"})), answer(way(response_headers={"location": "/b"})),
         ["redirect"]),
        (answer(way(response_headers={"set-cookie": "1"})), answer(way(response_headers={"set-cookie": "2"})), []),
        (answer(), answer(**{"route.timeout": "1s", "route.retry_policy.num_retries": "5"}), ["retries", "timeout"]),
        (answer(), answer(**{"typed_per_filter_config.envoy.filters.http.fault.delay.fixed_delay": "1s"}), ["fault"]),
        (answer(), Answer(refused="the gateway g.d has no port 80"), ["answer"]),
        (Answer(refused="it is gone"), Answer(refused="it is gone"), []),
        # By chance: 14 and 17 of 30 are no change, none and 30 of 30 are one.
        (answer(way(count=16), way(count=14, status=418), chance=True),
         answer(way(count=13), way(count=17, status=418), chance=True), []),
        (answer(way(count=30), chance=True), answer(way(count=30, status=418), chance=True), ["answer"]),
    ],
)  # fmt: skip
def test_answers_differ(old: Answer, new: Answer, kinds: list[Kind]) -> None:
    assert [each.kind for each in differences(old, new)] == kinds


def test_settings_of_clusters_differ_by_what_people_call_them() -> None:
    old, new = (
        Answer((way(),), Configured({"a.d": 1.0}, {}, {"c": dict(flat(settings))}))
        for settings in (
            {"lb_policy": "ROUND_ROBIN", "circuit_breakers": {"thresholds": [{"max_connections": 1}]}},
            {"lb_policy": "RANDOM", "outlier_detection": {"max": {"numerator": 5, "denominator": "TEN_THOUSAND"}}},
        )
    )
    told = {(each.kind, each.field, each.before, each.after) for each in differences(old, new)}
    assert told == {
        ("balancing", "c: lb_policy", "ROUND_ROBIN", "RANDOM"),
        ("connections", "c: circuit_breakers.thresholds[0].max_connections", "1", "not set"),
        ("outliers", "c: outlier_detection.max", "not set", "0.05 %"),
    }


def test_what_cannot_be_compared_is_refused(files: tuple[str, str], tmp_path: Path) -> None:
    def refused(*arguments: str) -> str:
        done = CliRunner().invoke(diff.command, arguments)
        assert isinstance(done.exception, BadInputError), done.output
        return done.exception.message

    other = tmp_path / "x.log"
    other.write_text("nothing of a proxy\n")
    assert "cannot both be standard input" in refused("-", "-")
    assert "nothing in it is an access log or a trace" in refused(*files, "--traffic", str(other))
    other.write_text("")
    assert "no requests were found" in refused(*files, "--traffic", str(other))
    other.write_text(line("GET /", "elsewhere.example", "PassthroughCluster", "f"))
    assert "standard input is a configuration already" in refused("-", files[1], "--traffic", "-")
