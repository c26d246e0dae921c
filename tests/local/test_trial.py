"""`windvane try`: requests through real Envoys go where Istio's documentation says, and the report tells why."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import h2.connection
import h2.events
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from tls_secrets import bank_secrets

from windvane.cli import test as windvane_test
from windvane.cli import try_, xds
from windvane.cli.mesh_files import load_view
from windvane.kit.errors import BadInputError
from windvane.kit.shares import wilson
from windvane.local.trial import echo
from windvane.local.trial.asking import parse_request
from windvane.local.trial.route_names import with_own_names

BOOKS = str(Path(__file__).parent / "data" / "books.yaml")


def tried(*arguments: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(try_.command, [BOOKS, *arguments, "--output", "json"])
    assert done.exit_code in (0, 1), done.output
    return list(json.loads(done.stdout_bytes)["outcomes"])


def refused(*arguments: str) -> str:
    done = CliRunner().invoke(try_.command, [BOOKS, *arguments])
    assert isinstance(done.exception, BadInputError), done.output
    return done.exception.message


def test_weights_send_their_shares_over_mutual_tls() -> None:
    found = tried("-r", "GET http://reviews:9080/reviews/1", "--n", "300")
    shares = {one["workload"]: one for one in found}
    assert set(shares) == {"reviews-v1.default", "reviews-v2.default"}
    assert sum(one["count"] for one in found) == 300
    assert abs(shares["reviews-v1.default"]["share"] - 0.8) < 0.12
    assert {one["route"] for one in found} == {"canary"}
    assert shares["reviews-v2.default"]["cluster"] == "outbound|9080|v2|reviews.default.svc.cluster.local"
    assert {one["mutual_tls"] for one in found} == {"spiffe://cluster.local/ns/default/sa/windvane-try"}


def test_rewrites_headers_and_mirrors_are_told() -> None:
    [one] = tried("-r", "GET http://productpage:9080/old/x", "-H", "secret: 1")
    assert (one["status"], one["route"], one["path"], one["authority"]) == (200, "rewritten", "/new/x", "other.example")
    assert one["request_headers"]["added"]["x-env"] == "canary"
    assert one["request_headers"]["removed"] == ["secret"]
    assert one["response_headers"] == {"x-served": "yes-it-was"}
    assert one["mirrored_to"] == ["reviews-v2.default"]


def test_faults_delay_and_abort() -> None:
    found = tried("-r", "GET http://productpage:9080/x", "-H", "end-user: jason", "--n", "40")
    assert {(one["status"], one["flags"]) for one in found} == {(200, "DI"), (418, "DI,FI")}
    assert all(one["median_ms"] >= 100 for one in found)


def test_an_unknown_host_comes_in_through_the_gateway_that_the_files_leave_to_the_cluster() -> None:
    [page] = tried("-r", "http://books.example/productpage")
    assert (page["status"], page["workload"]) == (200, "productpage-v1.default")
    [nothing] = tried("-r", "http://books.example/nowhere")
    assert (nothing["status"], nothing["flags"], nothing["details"]) == (404, "NR", "route_not_found")


def test_what_is_outside_is_stood_in_for_and_never_called() -> None:
    [one] = tried("-r", "GET http://api.example.com/v1")
    assert (one["status"], one["workload"], one["mutual_tls"]) == (200, "outside", "")
    assert "would leave it" in refused("-r", "GET http://elsewhere.example/", "--from", "productpage-v1.default")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-r", "FETCH http://reviews:9080/"), "'FETCH' is none of GET"),
        (("-r", "GET reviews:9080/"), "expected a URL such as"),
        (("-r", "GET http://reviews:port/"), "--request"),
        (("-r", "GET http://reviews:9080/", "-H", "nocolon"), "expected 'name: value'"),
        (("-r", "GET http://reviews:9080/", "--from", "nobody.x"), "there are: istio-ingressgateway.istio-system"),
        (("-r", "tcp://reviews"), "expected a host and port, such as tcp://mongo:27017"),
        (("-r", "tcp://reviews:9080", "-H", "a: b"), "a TCP connection has no headers"),
        (("-r", "tcp://nowhere:9080", "--from", "productpage-v1.default"), "no service port of the mesh"),
        (("-r", "GET tcp://reviews:9080"), "tcp has no methods such as 'GET'"),
        (("-r", "grpc://reviews:9080/"), "expected a method, such as grpc://cart:7070/shop.Cart/Add"),
        (("-r", "http://books.example:99/"), "has no port 99 (its ports: 8080)"),
    ],
)
def test_what_cannot_be_asked(arguments: Sequence[str], message: str) -> None:
    assert message in refused(*arguments)


@settings(max_examples=100)
@given(st.text(max_size=60), st.lists(st.text(max_size=20), max_size=2))
def test_any_text_is_a_request_or_bad_input(text: str, headers: list[str]) -> None:
    try:
        asked = parse_request(text, headers)
    except BadInputError:
        return
    assert asked.host
    assert asked.path.startswith("/") or asked.kind == "tcp"
    assert parse_request(str(asked), [f"{name}: {value}" for name, value in asked.headers]).path == asked.path


def test_the_interval_of_a_share() -> None:
    # R: binom::binom.confint(8, 10, methods = "wilson")
    assert wilson(8, 10) == pytest.approx((0.4901625, 0.9433178))
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == 1


def test_the_echo_speaks_http2_and_grpc() -> None:
    heard: list[echo.Heard] = []

    async def call() -> list[h2.events.Event]:
        server = await echo.listen("127.0.0.1", 0, "w.d", heard.append)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        client = h2.connection.H2Connection()
        client.initiate_connection()
        head = [(":method", "POST"), (":path", "/a.B/C"), (":authority", "b"), (":scheme", "http")]
        client.send_headers(1, [*head, ("content-type", "application/grpc")])
        client.send_data(1, b"12345", end_stream=True)
        writer.write(client.data_to_send())
        events: list[h2.events.Event] = []
        while not any(isinstance(event, h2.events.StreamEnded) for event in events):
            events += client.receive_data(await reader.read(65_536))
        writer.close()
        server.close()
        return events

    events = asyncio.run(call())
    assert (heard[0].method, heard[0].path, heard[0].authority, heard[0].body) == ("POST", "/a.B/C", "b", 5)
    [trailers] = [event.headers for event in events if isinstance(event, h2.events.TrailersReceived)]
    assert dict(trailers)[b"grpc-status"] == b"0"


def printed(*arguments: str) -> Any:
    done = CliRunner().invoke(xds.command, [BOOKS, *arguments, "--output", "json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout_bytes)


def test_a_proxys_configuration_is_printed() -> None:
    whole = printed("-w", "productpage-v1.default")
    assert list(whole) == ["listeners", "routes", "clusters", "endpoints"]
    [subset] = printed("-w", "productpage-v1.default", "--type", "clusters", "--name", "|v2|reviews")
    assert subset["name"] == "outbound|9080|v2|reviews.default.svc.cluster.local"
    [gateway] = printed("-w", "istio-ingressgateway.istio-system", "--type", "http-filters")
    assert [one["name"] for one in gateway["filter_chains"][0]["http_filters"]][-1] == "envoy.filters.http.router"
    unknown = CliRunner().invoke(xds.command, [BOOKS, "-w", "nobody"])
    assert "no proxy of a workload 'nobody'" in str(unknown.exception)


DATA = Path(__file__).parent / "data"


def suite(*arguments: str) -> tuple[int, Any]:
    done = CliRunner().invoke(windvane_test.command, [*arguments, "--output", "json"])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, json.loads(done.stdout_bytes)


def test_routing_and_authorization_do_what_istio_documents(tmp_path: Path) -> None:
    junit, secrets = tmp_path / "junit.xml", tmp_path / "secrets.json"
    secrets.write_text(bank_secrets(), encoding="utf-8")
    code, found = suite(str(DATA), str(secrets), "--junit", str(junit))
    assert [(each["name"], each["failures"], each["error"]) for each in found["tests"] if not each["passed"]] == []
    assert code == 0
    report = ElementTree.parse(junit).getroot()
    assert (report.get("tests"), report.get("failures")) == (str(len(found["tests"])), "0")
    assert {each["route"] for each in found["routes"] if not each["requests"]} == set()
    assert "http[1]" in {each["route"] for each in found["routes"]}  # a rule without a name
    assert {(each["resource"], each["rule"]) for each in found["rules"] if not each["requests"]} == set()
    properties = {each.get("name"): each.get("value") for each in report.iter("property")}
    assert properties["coverage.all"] == "100.0"
    assert int(properties["rule 0 of AuthorizationPolicy default/only-tried"] or 0) > 0  # dry run


def test_a_failed_test_says_what_was_seen(tmp_path: Path) -> None:
    tests = tmp_path / "tests.yaml"
    tests.write_text("""
apiVersion: windvane.dev/v1
kind: RequestTests
tests:
  - request: GET http://productpage:9080/old/x
    expect:
      {status: 404, workload: reviews-v1.default, route: bad, path: /x, mirroredTo: [], flags: UF,
       responseHeaders: {x-served: null}, requestHeaders: {x-env: prod}, refusedBy: a/b, allowedBy: a/c,
       grpcStatus: [UNAVAILABLE, 4], answered: false, atLeast: 10s}
  - request: GET http://reviews:9080/
    times: 100
    expect: {workload: {reviews-v1.default: 10%}}
  - request: GET http://nowhere.example/
    from: productpage-v1.default
    expect: {status: 200}
""")
    done = CliRunner().invoke(windvane_test.command, [BOOKS, str(tests), "--match", "productpage"])
    assert done.exit_code == 1
    told = [line.strip() for line in done.output.splitlines() if line.startswith("      ")]
    assert [line.partition(":")[0] for line in told] == [
        "status", "workload", "route", "path", "requestHeaders x-env", "responseHeaders x-served", "mirroredTo",
        "refusedBy", "allowedBy", "grpcStatus", "answered", "flags", "atLeast",
    ]  # fmt: skip
    assert told[0] == "status: expected 404, got 200"
    assert "grpcStatus: expected UNAVAILABLE (14) or DEADLINE_EXCEEDED (4), got none" in told
    code, found = suite(BOOKS, str(tests), "--match", "reviews", "--min-coverage", "routes=50%")
    assert found["coverage"]["routes"] == 1 / 6
    [first, second] = found["tests"][0]["failures"]
    assert code == 1
    assert first.startswith("workload reviews-v1.default: expected 10.0% of 100 requests, got ")
    assert second == "workload: expected reviews-v1.default, got also reviews-v2.default"
    outside = CliRunner().invoke(windvane_test.command, [BOOKS, str(tests)])
    assert "nowhere.example is no host of the mesh" in str(outside.exception)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tests: [{request: GET http://a/, expct: {}}]", "tests.0.expct: Extra inputs are not permitted"),
        ("tests: [{request: 'a b', expect: {}}]", "'A' is none of GET"),
        ("tests: [{request: http://a, expect: {workload: {a: x%}}}]", "not a share: 'x%'"),
        ("tests: [{request: http://a, expect: {atLeast: soon}}]", "tests.0.expect.atLeast"),
        ("tests: [{request: http://a, expect: {grpcStatus: FINE}}]", "not a status of gRPC: 'FINE'"),
        ("tests: []", "no tests"),
    ],
)
def test_tests_that_cannot_be_read_are_told_with_their_place(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(f"apiVersion: windvane.dev/v1\nkind: RequestTests\n{text}\n")
    done = CliRunner().invoke(windvane_test.command, [str(file)])
    assert isinstance(done.exception, BadInputError)
    assert message in done.exception.message


@pytest.mark.parametrize("wanted", ["most", "routes=120", "tests=5", "rules="])
def test_a_share_to_cover_that_is_none_is_refused(wanted: str) -> None:
    done = CliRunner().invoke(windvane_test.command, [BOOKS, "--min-coverage", wanted])
    assert done.exit_code == 2
    assert "expected" in done.output


def test_rules_are_told_apart_by_names_that_routes_keep_where_they_can(tmp_path: Path) -> None:
    names_in_order = ("one", "two", "", "two", "default")
    rules = "".join(f"  - {{name: '{name}', redirect: {{uri: /}}, match: [{{uri: {{prefix: /{index}}}}}]}}\n"
                    for index, name in enumerate(names_in_order))  # fmt: skip
    head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n"
    (tmp_path / "a.yaml").write_text(f"{head}spec:\n  hosts: [a.example]\n  http:\n{rules}")
    view = load_view((str(tmp_path / "a.yaml"),), "default", "istio-system")
    made, names = with_own_names(view)
    told = [route.name for route in made.virtual_services[0].spec.http]
    assert told[0] == "one"
    assert len(set(told)) == 5
    assert "default" not in told
    assert [names.name(name) for name in (*told, f"{told[1]}.m", "other")] == [
        "one", "two", "", "two", "default", "two.m", "other",
    ]  # fmt: skip
    found = [names.rule(name) for name in told]
    assert [rule.label for rule in found if rule] == ["one", "two", "http[2]", "two", "default"]
    assert names.rule("other") is None
