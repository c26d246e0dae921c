"""Discovery in Kubernetes: labels of every role, and a copy that follows an API server's lists and watches."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from kubernetes_server import KubernetesServer, kubernetes
from scrape_target import until

from windvane.ingest.scrape.config import loads
from windvane.ingest.scrape.discovery import DiscoveryRun, discoverers
from windvane.ingest.scrape.discovery.kubernetes import meta
from windvane.ingest.scrape.discovery.kubernetes.connection import connection, from_kubeconfig
from windvane.ingest.scrape.discovery.kubernetes.endpoints import endpoints_group, endpointslice_group
from windvane.ingest.scrape.discovery_config import KubernetesDiscovery
from windvane.ingest.scrape.targets import TargetGroup
from windvane.kit.clock import SystemClock
from windvane.kit.errors import BadInputError, UnavailableError

Object = dict[str, Any]


def pod(name: str = "web-1", ip: str = "10.0.0.1", *ports: int) -> Object:
    declared = [{"containerPort": port, "name": f"p{port}", "protocol": "TCP"} for port in ports or (8080,)]
    return {
        "metadata": {
            "name": name, "namespace": "shop", "uid": "u1", "labels": {"app.kubernetes.io/name": "web"},
            "annotations": {"prometheus.io/scrape": "true"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-abc", "controller": True}],
        },
        "spec": {
            "nodeName": "n1",
            "containers": [{"name": "app", "image": "web:1", "ports": declared}, {"name": "side", "image": "s:1"}],
            "initContainers": [{"name": "init", "image": "i:1"}],
        },
        "status": {
            "podIP": ip, "hostIP": "192.0.2.1", "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "app", "containerID": "containerd://x"}],
        },
    }  # fmt: skip


def node() -> Object:
    return {
        "metadata": {"name": "n1", "labels": {"zone": "a"}},
        "spec": {"providerID": "aws:///i-1"},
        "status": {
            "addresses": [{"type": "Hostname", "address": "n1.local"}, {"type": "InternalIP", "address": "192.0.2.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        },
    }


def service(name: str = "web", **spec: object) -> Object:
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    return {
        "metadata": {"name": name, "namespace": "shop", "labels": {"tier": "front"}},
        "spec": {"type": "ClusterIP", "clusterIP": "10.1.0.1", "ports": ports, **spec},
    }


def endpoints(*addresses: Object, port: int = 8080) -> Object:
    return {
        "metadata": {"name": "web", "namespace": "shop"},
        "subsets": [{"addresses": list(addresses), "ports": [{"name": "http", "port": port, "protocol": "TCP"}]}],
    }


def address(ip: str = "10.0.0.1", name: str = "web-1") -> Object:
    return {"ip": ip, "nodeName": "n1", "targetRef": {"kind": "Pod", "name": name, "namespace": "shop"}}


OBJECTS = {
    ("pod", "shop/web-1"): pod("web-1", "10.0.0.1", 8080, 9999),
    ("node", "n1"): node(),
    ("service", "shop/web"): service(),
    ("namespace", "shop"): {"metadata": {"name": "shop", "labels": {"t": "x"}}},
}


def found(kind: str, key: str) -> Object | None:
    return OBJECTS.get((kind, key))


def unknown(kind: str, key: str) -> Object | None:
    return None


def text(group: TargetGroup) -> str:
    """A group as golden files have it, without the common beginning of labels."""
    plain = {
        "source": group.source,
        "labels": dict(sorted(group.labels.items())),
        "targets": [dict(sorted(target.items())) for target in group.targets],
    }
    return json.dumps(plain, indent=1).replace("__meta_kubernetes_", "~") + "\n"


class TestRoles:
    def test_labels(self, golden: Callable[[str, str], None]) -> None:
        ingress = {
            "metadata": {"name": "in", "namespace": "shop"},
            "spec": {
                "ingressClassName": "istio",
                "tls": [{"hosts": ["*.example.com"]}],
                "rules": [{"host": "a.example.com", "http": {"paths": [{"path": "/x"}, {}]}}, {"host": "plain.test"}],
            },
        }
        slice_ = {
            "metadata": {"name": "web-x", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP", "appProtocol": "http"}],
            "endpoints": [
                {
                    "addresses": ["10.0.0.1"], "nodeName": "n1", "zone": "a", "hostname": "h",
                    "conditions": {"ready": True, "serving": True, "terminating": False},
                    "targetRef": {"kind": "Pod", "name": "web-1", "namespace": "shop"},
                }
            ],
        }  # fmt: skip
        bare = address() | {"hostname": "h"}
        groups = [
            meta.node_group("node/n1", node(), found),
            meta.pod_group("pod/shop/web-1", pod(), unknown),
            meta.service_group("svc/shop/web", service(), unknown),
            meta.service_group("svc/shop/out", service("out", type="ExternalName", externalName="x.org"), unknown),
            meta.service_group("svc/shop/lb", service("lb", type="LoadBalancer", loadBalancerIP="1.2.3.4"), unknown),
            meta.ingress_group("ingress/shop/in", ingress, found),
            endpoints_group("endpoints/shop/web", endpoints(bare), found),
            endpointslice_group("endpointslice/shop/web-x", slice_, found),
        ]
        golden("kubernetes_roles.json", "".join(map(text, groups)))

    def test_pods_without_an_address_have_no_targets(self) -> None:
        waiting = pod()
        del waiting["status"]["podIP"]
        assert meta.pod_group("p", waiting, unknown).targets == ()

    def test_ipv6(self) -> None:
        group = meta.pod_group("p", pod("x", "fd00::1"), unknown)
        assert [target["__address__"] for target in group.targets] == ["[fd00::1]:8080", "[fd00::1]", "[fd00::1]"]

    @pytest.mark.parametrize("thing", [{}, {"metadata": None}, {"spec": None, "status": None, "subsets": None}])
    def test_objects_with_nothing_in_them(self, thing: Mapping[str, Any]) -> None:
        for group in (meta.node_group, meta.pod_group, meta.service_group, meta.ingress_group, endpoints_group,
                      endpointslice_group):  # fmt: skip
            assert list(group("s", thing, unknown).targets) == []


@asynccontextmanager
async def discovering(server: KubernetesServer, more: str) -> AsyncIterator[Callable[[], dict[str, Mapping[str, str]]]]:
    """Discovery running against a server; yields the targets at present, by address."""
    config = loads(
        f"scrape_configs: [{{job_name: j, kubernetes_sd_configs: [{{api_server: '{server.url}', {more}}}]}}]"
    ).scrape_configs[0]
    run = DiscoveryRun(discoverers(config, SystemClock()), lambda: None, SystemClock(), "j")
    try:
        yield lambda: {
            target["__address__"]: {**group.labels, **target} for group in run.groups for target in group.targets
        }
    finally:
        await run.close()


class TestWatching:
    def test_pods_come_change_and_go(self) -> None:
        async def scenario() -> None:
            async with kubernetes() as server:
                for number in range(5):
                    server.put("pods", pod(f"web-{number}", f"10.0.0.{number}"))
                more = "role: pod, bearer_token: secret, selectors: [{role: pod, label: a=b, field: x=y}]"
                async with discovering(server, more) as targets:
                    await until(lambda: {f"10.0.0.{n}:8080" for n in range(5)} <= set(targets()), "the list")
                    path, query, headers = server.requests[0]
                    assert path == "/api/v1/pods"
                    assert (query["labelSelector"], query["fieldSelector"]) == ("a=b", "x=y")
                    assert headers["authorization"] == "Bearer secret"
                    await until(lambda: server.watching == 1, "the watch")
                    server.put("pods", pod("web-9", "10.0.0.9"))
                    server.put("pods", pod("web-1", "10.0.0.77"))
                    server.delete("pods", "shop", "web-0")
                    await until(lambda: {"10.0.0.9:8080", "10.0.0.77:8080"} <= set(targets()), "the changes")
                    assert not {"10.0.0.0:8080", "10.0.0.1:8080"} & set(targets())

        asyncio.run(scenario())

    def test_a_watch_that_ends_goes_on_from_the_bookmark(self) -> None:
        async def scenario() -> None:
            async with kubernetes() as server:
                server.put("pods", pod("a", "10.0.0.1"))
                async with discovering(server, "role: pod") as targets:
                    await until(lambda: server.watching == 1, "the watch")
                    server._version += 50
                    server.end_watches()
                    versions = [query.get("resourceVersion") for _, query, _ in server.requests if query.get("watch")]
                    assert versions == ["101"]
                    await until(lambda: len([q for _, q, _ in server.requests if q.get("watch")]) == 2, "a new watch")
                    assert server.requests[-1][1]["resourceVersion"] == "151"
                    await until(lambda: server.watching == 1, "the second watch")
                    server.put("pods", pod("b", "10.0.0.2"))
                    await until(lambda: "10.0.0.2:8080" in targets(), "the new pod")

        asyncio.run(scenario())

    def test_a_forgotten_version_is_listed_anew(self) -> None:
        async def scenario() -> None:
            async with kubernetes() as server:
                server.put("pods", pod("a", "10.0.0.1"))
                server.put("pods", pod("b", "10.0.0.2"))
                async with discovering(server, "role: pod") as targets:
                    await until(lambda: server.watching == 1, "the watch")
                    server._watchers[0][2].put_nowait(None)
                    del server._objects["pods"]["shop", "a"]  # nobody was told
                    server.forget()
                    await until(lambda: set(targets()) and "10.0.0.1:8080" not in targets(), "the new list")
                    assert "10.0.0.2:8080" in targets()

        asyncio.run(scenario())

    def test_endpoints_follow_their_service_and_pods(self) -> None:
        async def scenario() -> None:
            async with kubernetes() as server:
                server.put("endpoints", endpoints(address()))
                more = "role: endpoints, namespaces: {names: [shop]}, attach_metadata: {node: true}"
                async with discovering(server, more) as targets:
                    await until(lambda: "10.0.0.1:8080" in targets(), "the endpoints")
                    assert "__meta_kubernetes_pod_name" not in targets()["10.0.0.1:8080"]
                    assert {path for path, _, _ in server.requests} == {
                        "/api/v1/namespaces/shop/endpoints", "/api/v1/namespaces/shop/services",
                        "/api/v1/namespaces/shop/pods", "/api/v1/nodes",
                    }  # fmt: skip
                    await until(lambda: server.watching == 4, "all watches")
                    server.put("pods", pod("web-1", "10.0.0.1", 8080, 9999))
                    server.put("services", service())
                    server.put("nodes", node())
                    await until(lambda: "10.0.0.1:9999" in targets(), "the pod's other port")
                    labels = targets()["10.0.0.1:8080"]
                    assert labels["__meta_kubernetes_pod_name"] == "web-1"
                    await until(lambda: "__meta_kubernetes_service_label_tier" in targets()["10.0.0.1:8080"], "service")
                    await until(lambda: "__meta_kubernetes_node_label_zone" in targets()["10.0.0.1:8080"], "the node")
                    server.delete("endpoints", "shop", "web")
                    await until(lambda: targets() == {}, "the end")

        asyncio.run(scenario())


class TestConnection:
    def test_inside_a_cluster(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "namespace").write_text("mine\n")
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
        place = connection(KubernetesDiscovery(role="pod"), tmp_path)
        assert (place.url, place.namespace) == ("https://10.0.0.1:443", "mine")
        assert place.client.authorization is not None
        assert place.client.authorization.credentials_file == str(tmp_path / "token")
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
        with pytest.raises(UnavailableError, match="not inside a cluster"):
            connection(KubernetesDiscovery(role="pod"), tmp_path)

    def test_kubeconfig(self, tmp_path: Path) -> None:
        authority = base64.b64encode(b"PEM").decode()
        file = tmp_path / "config"
        file.write_text(
            "current-context: c\n"
            "contexts: [{name: c, context: {cluster: k, user: u, namespace: ns}}]\n"
            "clusters: [{name: k, cluster: {server: 'https://k:6443/', "
            f"certificate-authority-data: {authority}}}}}]\n"
            "users: [{name: u, user: {token: T}}]\n"
        )
        place = from_kubeconfig(file)
        assert (place.url, place.namespace, place.client.tls_config.ca) == ("https://k:6443", "ns", "PEM")
        assert place.client.authorization is not None
        assert place.client.authorization.credentials == "T"
        file.write_text("current-context: other\ncontexts: []\n")
        with pytest.raises(BadInputError, match="there is no context 'other'"):
            from_kubeconfig(file)
