"""Istio's labels from what an access log says and the control plane knows."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from windvane.ingest.istio_labels import HTTP_LABELS, Changes, Directory, Resolver, Traffic, namespace_of

WEB = "sidecar~127.1.0.1~web-v1.shop~shop.svc.cluster.local"
REVIEWS = "sidecar~127.1.0.2~reviews-v2.shop~shop.svc.cluster.local"
WEB_ID = "spiffe://cluster.local/ns/shop/sa/web"
REVIEWS_ID = "spiffe://cluster.local/ns/shop/sa/reviews"
ME = "web-v1;shop;web;v1;web;v1;Kubernetes"


def workloads(key: str, rows: dict[str, tuple[str, ...]]) -> pd.DataFrame:
    columns = ["workload", "namespace", "app", "version", "canonical_service", "canonical_revision"]
    return pd.DataFrame(
        [(name, *values) for name, values in rows.items()], columns=[key, *columns, "cluster", "principal"]
    )


WEB_ROW = ("web-v1", "shop", "web", "v1", "web", "v1", "Kubernetes", WEB_ID)
REVIEWS_ROW = ("reviews-v2", "shop", "reviews", "v2", "reviews", "v2", "Kubernetes", REVIEWS_ID)
OTHER_ROW = ("reviews-v3", "shop", "reviews", "v3", "reviews", "v3", "Kubernetes", REVIEWS_ID)

DIRECTORY = Directory(
    endpoints=workloads(
        "address",
        {
            "127.1.0.1:8080": WEB_ROW,
            "127.1.0.2:9080": REVIEWS_ROW,
            "127.1.0.3:9080": OTHER_ROW,
            "10.0.0.9:80": WEB_ROW,
            "10.0.0.9:81": REVIEWS_ROW,
        },
    ),
    nodes=workloads("node_id", {WEB: WEB_ROW, REVIEWS: REVIEWS_ROW}),
    services=pd.DataFrame(
        [
            ("", "outbound|9080||reviews.shop.svc.cluster.local", "reviews.shop.svc.cluster.local", "reviews", "shop"),
            ("", "outbound|443||api.pay.example", "api.pay.example", "api.pay.example", "shop"),
            (REVIEWS, "inbound|9080||", "reviews.shop.svc.cluster.local", "reviews", "shop"),
        ],
        columns=["node_id", "upstream_cluster", "host", "name", "namespace"],
    ),
)


def traffic(**changes: object) -> Traffic:
    values: dict[str, object] = dict.fromkeys(Traffic._fields, "")
    values |= {"node_id": WEB, "gateway": False, "reporter": "source", "protocol": "http"}
    values |= {"response_code": 200, "response_flags": "-", "local_principal": WEB_ID}
    return Traffic(**{**values, **changes})  # type: ignore[arg-type]


def outbound(**changes: object) -> dict[str, str]:
    known = {
        "upstream_cluster": "outbound|9080||reviews.shop.svc.cluster.local",
        "upstream_host": "127.1.0.2:9080",
        "upstream_principal": REVIEWS_ID,
    }
    return Resolver(DIRECTORY).labels(traffic(**{**known, **changes}))


def inbound(**changes: object) -> dict[str, str]:
    known = {
        "node_id": REVIEWS,
        "reporter": "destination",
        "upstream_cluster": "inbound|9080||",
        "local_principal": REVIEWS_ID,
        "peer_principal": WEB_ID,
        "peer_metadata": ME,
    }
    return Resolver(DIRECTORY).labels(traffic(**{**known, **changes}))


def test_the_client_names_both_sides_and_the_service() -> None:
    assert outbound() == {
        "reporter": "source",
        "source_workload": "web-v1",
        "source_canonical_service": "web",
        "source_canonical_revision": "v1",
        "source_workload_namespace": "shop",
        "source_principal": WEB_ID,
        "source_app": "web",
        "source_version": "v1",
        "source_cluster": "Kubernetes",
        "destination_workload": "reviews-v2",
        "destination_workload_namespace": "shop",
        "destination_principal": REVIEWS_ID,
        "destination_app": "reviews",
        "destination_version": "v2",
        "destination_service": "reviews.shop.svc.cluster.local",
        "destination_canonical_service": "reviews",
        "destination_canonical_revision": "v2",
        "destination_service_name": "reviews",
        "destination_service_namespace": "shop",
        "destination_cluster": "Kubernetes",
        "request_protocol": "http",
        "response_code": "200",
        "grpc_response_status": "",
        "response_flags": "-",
        "connection_security_policy": "unknown",
    }
    assert set(outbound()) == set(HTTP_LABELS)


def test_the_server_sees_the_same_call_with_its_security() -> None:
    client, server = outbound(), inbound()
    different = {name for name in HTTP_LABELS if client[name] != server[name]}
    assert different == {"reporter", "connection_security_policy"}
    assert server["connection_security_policy"] == "mutual_tls"


@pytest.mark.parametrize(
    ("changes", "workload", "namespace", "principal"),
    [
        # Metadata is believed when its namespace is the certificate's.
        ({"peer_metadata": "web-v9;shop;web;v9;web;v9;east"}, "web-v9", "shop", WEB_ID),
        # Metadata of another namespace is not: the certificate stands for one workload.
        ({"peer_metadata": "evil;other;evil;v1;evil;v1;x"}, "web-v1", "shop", WEB_ID),
        ({"peer_metadata": "garbage"}, "web-v1", "shop", WEB_ID),
        # Two workloads share the certificate's identity: the address decides.
        ({"peer_metadata": "", "peer_principal": REVIEWS_ID, "source_ip": "127.1.0.3"}, "reviews-v3", "shop", None),
        ({"peer_metadata": "", "peer_principal": REVIEWS_ID, "source_ip": "9.9.9.9"}, "unknown", "shop", None),
        # No certificate: metadata could be anybody's; the address is what remains.
        ({"peer_principal": "", "source_ip": "127.1.0.1"}, "web-v1", "shop", "unknown"),
        ({"peer_principal": "", "source_ip": "10.0.0.9"}, "unknown", "unknown", "unknown"),
        # An address that contradicts the certificate's namespace is not used.
        (
            {"peer_metadata": "", "peer_principal": "spiffe://cluster.local/ns/bank/sa/x", "source_ip": "127.1.0.1"},
            "unknown",
            "bank",
            "spiffe://cluster.local/ns/bank/sa/x",
        ),
    ],
)
def test_precedence_of_who_the_server_says_called(
    changes: dict[str, object], workload: str, namespace: str, principal: str | None
) -> None:
    labels = inbound(**changes)
    assert (labels["source_workload"], labels["source_workload_namespace"]) == (workload, namespace)
    assert labels["source_principal"] == (principal or changes["peer_principal"])


def test_security_needs_both_certificates() -> None:
    assert inbound(peer_principal="")["connection_security_policy"] == "none"
    assert inbound(local_principal="")["connection_security_policy"] == "none"


def test_nobody_is_unknown_and_revision_latest() -> None:
    labels = outbound(upstream_host="", upstream_principal="", response_flags="UH", response_code=503)
    side = {name: value for name, value in labels.items() if name.startswith("destination_")}
    assert side == {
        "destination_workload": "unknown",
        "destination_workload_namespace": "unknown",
        "destination_principal": "unknown",
        "destination_app": "unknown",
        "destination_version": "unknown",
        "destination_service": "reviews.shop.svc.cluster.local",
        "destination_canonical_service": "unknown",
        "destination_canonical_revision": "latest",
        "destination_service_name": "reviews",
        "destination_service_namespace": "shop",
        "destination_cluster": "unknown",
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"upstream_cluster": "PassthroughCluster", "authority": "a.example"}, ("a.example", "PassthroughCluster")),
        ({"upstream_cluster": "BlackHoleCluster"}, ("unknown", "BlackHoleCluster")),
        ({"upstream_cluster": "", "route": "block_all", "authority": "a.example"}, ("a.example", "BlackHoleCluster")),
        ({"upstream_cluster": "outbound|443||api.pay.example"}, ("api.pay.example", "api.pay.example")),
        ({"upstream_cluster": "outbound|1|v1|new.bank.svc.cluster.local"}, ("new.bank.svc.cluster.local", "new")),
        ({"upstream_cluster": "outbound|1||ext.example.com"}, ("ext.example.com", "ext.example.com")),
        ({"upstream_cluster": "", "authority": "typo.shop"}, ("typo.shop", "typo.shop")),
        ({"upstream_cluster": ""}, ("unknown", "unknown")),
    ],
)
def test_destination_service_as_the_client_names_it(changes: dict[str, object], expected: tuple[str, str]) -> None:
    labels = outbound(**changes)
    assert (labels["destination_service"], labels["destination_service_name"]) == expected


def test_destination_service_as_the_server_names_it() -> None:
    assert inbound()["destination_service"] == "reviews.shop.svc.cluster.local"
    unlisted = inbound(upstream_cluster="inbound|7||")
    assert (unlisted["destination_service"], unlisted["destination_service_name"]) == ("unknown", "reviews")
    through = inbound(upstream_cluster="InboundPassthroughCluster")
    assert through["destination_service_name"] == "InboundPassthroughCluster"


def test_a_node_the_directory_does_not_know_still_says_its_name() -> None:
    labels = outbound(node_id="sidecar~10.0.0.1~cart-v1.shop~shop.svc.cluster.local")
    assert (labels["source_workload"], labels["source_workload_namespace"]) == ("cart-v1", "shop")
    assert labels["source_app"] == "unknown"
    assert labels["source_cluster"] == ""
    assert outbound(node_id="odd")["source_workload"] == "unknown"


@pytest.mark.parametrize(
    ("principal", "namespace"),
    [("spiffe://td/ns/shop/sa/web", "shop"), ("spiffe://td/x", ""), ("", ""), ("https://a/b/ns/c", "")],
)
def test_namespace_of_a_principal(principal: str, namespace: str) -> None:
    assert namespace_of(principal) == namespace


def test_a_telemetry_leaves_out_labels_or_all_of_one_side() -> None:
    changes = {(WEB, "source"): Changes(labels=frozenset(("source_principal", "no_such_label")))}
    changes[REVIEWS, "destination"] = Changes(silent=True)
    resolver, plain = Resolver(replace(DIRECTORY, changes=changes)), Resolver(DIRECTORY)
    whole = plain.labels(traffic())
    assert whole["source_principal"] == WEB_ID
    assert resolver.labels(traffic()) == {**whole, "source_principal": ""}
    assert resolver.is_silent(traffic(node_id=REVIEWS, reporter="destination"))
    assert not resolver.is_silent(traffic())
