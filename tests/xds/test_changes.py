"""The push plan: whom an edit concerns with what, and that it never leaves out what changed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from xds_mesh import view_of

from windvane.mesh.placement import Placement, WorkloadPlace
from windvane.mesh.resolve import endpoint_port
from windvane.mesh.view import MeshView
from windvane.xds.changes import EVERYTHING, NOTHING, changes
from windvane.xds.configuration import configuration
from windvane.xds.resources import SHORT_NAMES
from windvane.xds.snapshot import MeshSettings, Snapshot

NETWORKING, SECURITY = "networking.istio.io/v1", "security.istio.io/v1"


def resource(kind: str, name: str, spec: str, *, api: str = NETWORKING, meta: str = "") -> str:
    short, _, namespace = name.partition(".")
    return f"""
apiVersion: {api}
kind: {kind}
metadata: {{name: {short}, namespace: {namespace}{meta}}}
spec: {spec}
"""


def service(name: str, ports: str = "{name: http, port: 80}", meta: str = "") -> str:
    app = name.partition(".")[0]
    return resource("Service", name, f"{{selector: {{app: {app}}}, ports: [{ports}]}}", api="v1", meta=meta)


def workload(name: str, labels: str = "", more: str = "") -> str:
    app = name.partition("-")[0]
    return resource("WorkloadEntry", name, f"{{labels: {{app: {app}{labels}}}, serviceAccount: {app}{more}}}")


OWN = ', annotations: {networking.istio.io/exportTo: "."}'
MESH = {
    "web": service("web.shop"),
    "api": service("api.shop"),
    "mail": service("mail.tools"),
    "ledger": service("ledger.tools", "{name: tcp-db, port: 5432}"),
    "secret": service("secret.tools", meta=OWN),
    "web-v1": workload("web-v1.shop"),
    "api-v1": workload("api-v1.shop", ", version: v1"),
    "api-v2": workload("api-v2.shop", ", version: v2"),
    "mail-v1": workload("mail-v1.tools"),
    "ledger-v1": workload("ledger-v1.tools"),
    "secret-v1": workload("secret-v1.tools"),
    "lonely-v1": workload("lonely-v1.island"),
    "ingress": resource("WorkloadEntry", "ingress.edge", "{labels: {istio: ingressgateway}, serviceAccount: ingress}"),
    "island": resource("Sidecar", "default.island", '{egress: [{hosts: ["tools/*"]}]}'),
    "front": resource(
        "Gateway",
        "front.edge",
        "{selector: {istio: ingressgateway},"
        ' servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}',
    ),
    "outside": resource(
        "ServiceEntry",
        "outside.shop",
        "{hosts: [api.example.com], location: MESH_EXTERNAL, resolution: DNS, ports:"
        " [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 192.0.2.1}]}",
    ),
    "subsets": resource(
        "DestinationRule",
        "api.shop",
        "{host: api, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}",
    ),
    "split": resource(
        "VirtualService",
        "api.shop",
        "{hosts: [api], http: [{route: [{destination: {host: api, subset: v1}, weight: 90},"
        " {destination: {host: api, subset: v2}, weight: 10}]}]}",
    ),
    "entrance": resource(
        "VirtualService",
        "entrance.edge",
        '{hosts: ["*"], gateways: [front], http: [{route: [{destination: {host: web.shop.svc.cluster.local}}]}]}',
    ),
}
PROXIES = ("web-v1.shop", "api-v1.shop", "mail-v1.tools", "secret-v1.tools", "lonely-v1.island", "ingress.edge")


def policy(kind: str, name: str, spec: str) -> str:
    return resource(kind, name, spec, api=SECURITY)


def telemetry(name: str) -> str:
    return resource(
        "Telemetry", name, "{tracing: [{randomSamplingPercentage: 50}]}", api="telemetry.istio.io/v1"
    )  # fmt: skip


RULE = "{selector: {matchLabels: {app: %s}}, rules: [{from: [{source: {namespaces: [shop]}}]}]}"
PICK = "{host: %s, trafficPolicy: {loadBalancer: {simple: RANDOM}}}"
HASH = "{host: api, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}}"
TCP = "{hosts: [ledger.tools.svc.cluster.local], tcp: [{route: [{destination: {host: mail.tools.svc.cluster.local}}]}]}"
EDITS: dict[str, tuple[str, str | None]] = {
    "a weight": ("split", MESH["split"].replace("90", "50").replace("10", "50")),
    "routes go": ("split", None),
    "a service's version": ("api-v2", workload("api-v2.shop", ", version: v1")),
    "one endpoint fewer": ("api-v2", None),
    "one endpoint more": ("api-v3", workload("api-v3.shop", ", version: v2")),
    "an endpoint's weight": ("api-v2", workload("api-v2.shop", ", version: v2", ", weight: 7")),
    "an endpoint's identity": ("api-v2", MESH["api-v2"].replace("serviceAccount: api", "serviceAccount: other")),
    "an endpoint's locality": ("api-v2", workload("api-v2.shop", ", version: v2", ", locality: eu/a")),
    "a workload without a service": ("idle-v1", workload("idle-v1.island")),
    "an endpoint outside": ("outside", MESH["outside"].replace("192.0.2.1", "192.0.2.2")),
    "a service more": ("added", service("added.shop")),
    "a service fewer": ("mail", None),
    "a service's protocol": ("mail", service("mail.tools", "{name: tcp, port: 80}")),
    "a service's export": ("secret", service("secret.tools")),
    "a secret service's port": ("secret", service("secret.tools", "{name: http, port: 81, targetPort: 80}", OWN)),
    "a load balancer": ("balance", resource("DestinationRule", "mail.tools", PICK % "mail")),
    "a load balancer of TCP": ("balance", resource("DestinationRule", "ledger.tools", PICK % "ledger")),
    "consistent hashing": ("subsets", resource("DestinationRule", "api.shop", HASH)),
    "limits towards applications": (
        "balance",
        resource(
            "DestinationRule",
            "ledger.tools",
            "{host: ledger, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}}",
        ),
    ),
    "an egress proxy": (
        "island",
        resource(
            "Sidecar",
            "default.island",
            '{egress: [{hosts: ["tools/*"]}], outboundTrafficPolicy: {mode: ALLOW_ANY,'
            " egressProxy: {host: mail.tools.svc.cluster.local, port: {number: 80}}}}",
        ),
    ),
    "a port of a sidecar": (
        "listed",
        resource(
            "Sidecar",
            "default.tools",
            "{workloadSelector: {labels: {app: mail}}, ingress:"
            ' [{port: {number: 80, protocol: TCP, name: tcp}, defaultEndpoint: "127.0.0.1:80"}]}',
        ),
    ),
    "a rule for a namespace": ("balance", resource("DestinationRule", "mail.tools", "{exportTo: [.], host: mail}")),
    "a rule for workloads": (
        "balance",
        resource(
            "DestinationRule", "mail.tools", "{workloadSelector: {matchLabels: {app: mail}}, " + (PICK % "mail")[1:]
        ),
    ),
    "subsets go": ("subsets", None),
    "a route of connections": ("tcp", resource("VirtualService", "ledger.tools", TCP)),
    "a route at the gateway": ("entrance", MESH["entrance"].replace("web.shop", "api.shop")),
    "a gateway's port": ("front", MESH["front"].replace("80", "81")),
    "a gateway fewer": ("front", None),
    "a sidecar's scope": ("island", MESH["island"].replace("tools", "shop")),
    "a sidecar more": ("tight", resource("Sidecar", "default.shop", '{egress: [{hosts: ["./*"]}]}')),
    "mTLS of a namespace": ("mtls", policy("PeerAuthentication", "default.tools", "{mtls: {mode: DISABLE}}")),
    "mTLS of the mesh": ("mtls", policy("PeerAuthentication", "default.istio-system", "{mtls: {mode: DISABLE}}")),
    "access to a workload": ("access", policy("AuthorizationPolicy", "api.shop", RULE % "api")),
    "access in the mesh": ("access", policy("AuthorizationPolicy", "all.istio-system", RULE % "mail")),
    "tokens": (
        "tokens",
        policy(
            "RequestAuthentication",
            "api.shop",
            '{jwtRules: [{issuer: a, jwks: \'{"keys": [{"kty": "oct", "k": "AAAA", "alg": "HS256"}]}\'}]}',
        ),
    ),
    "telemetry of a namespace": ("telemetry", telemetry("default.tools")),
    "telemetry of the mesh": ("telemetry", telemetry("default.istio-system")),
    "lines": ("web", "\n# Only lines move.\n" + MESH["web"]),
    "a policy of a Gateway": (
        "attached",
        resource(
            "AuthorizationPolicy",
            "attached.edge",
            "{targetRefs: [{group: networking.istio.io, kind: Gateway, name: front}], action: DENY, rules: [{}]}",
            api=SECURITY,
        ),
    ),
    "an EnvoyFilter": (
        "patch",
        resource(
            "EnvoyFilter",
            "patch.shop",
            "{configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {connect_timeout: 3s}}}]}",
            api="networking.istio.io/v1alpha3",
        ),
    ),
    "a WasmPlugin": (
        "plugin",
        resource("WasmPlugin", "plugin.shop", '{url: "file:///dev/null"}', api="extensions.istio.io/v1alpha1"),
    ),
    "an authorizer": (
        "operator",
        resource(
            "IstioOperator",
            "istio.istio-system",
            "{meshConfig: {extensionProviders: "
            "[{name: a, envoyExtAuthzHttp: {service: api.shop.svc.cluster.local, port: 80}}]}}",
            api="install.istio.io/v1alpha1",
        ),
    ),
}
FEW: dict[str, dict[str, str]] = {
    "a weight": dict.fromkeys([each for each in PROXIES if each != "lonely-v1.island"], "rds"),
    "a route of connections": {**dict.fromkeys(PROXIES, "lds rds"), "lonely-v1.island": "cds eds lds rds"},
    "an endpoint's weight": dict.fromkeys([each for each in PROXIES if each != "lonely-v1.island"], "eds"),
    "a service's version": dict.fromkeys([each for each in PROXIES if each != "lonely-v1.island"], "eds"),
    "an endpoint outside": dict.fromkeys([each for each in PROXIES if each != "lonely-v1.island"], "cds eds"),
    "a secret service's port": {**dict.fromkeys(PROXIES, "lds rds"), "mail-v1.tools": "cds eds lds rds",
                                "secret-v1.tools": "cds eds lds rds"},
    "a workload without a service": {},
    "a load balancer": dict.fromkeys(PROXIES, "cds eds rds"),
    "a load balancer of TCP": dict.fromkeys(PROXIES, "cds eds lds rds"),
    "a rule for a namespace": {"mail-v1.tools": "cds eds rds", "secret-v1.tools": "cds eds rds"},
    "access to a workload": {"api-v1.shop": "lds"},
    "access in the mesh": {"mail-v1.tools": "lds"},
    "tokens": {"web-v1.shop": "lds", "api-v1.shop": "lds"},
    "telemetry of a namespace": {"mail-v1.tools": "lds", "secret-v1.tools": "lds"},
    "telemetry of the mesh": dict.fromkeys(PROXIES, "lds"),
    "a sidecar's scope": {"lonely-v1.island": "cds eds lds rds"},
    "lines": {},
}  # fmt: skip
"""Who is concerned with what, for the edits of everyday."""


_NUMBERS: dict[str, int] = {}


def number(name: str) -> int:
    """A port for a name, the same whatever else there is."""
    return 20_000 + _NUMBERS.setdefault(name, len(_NUMBERS))


def place(view: MeshView, key: str) -> WorkloadPlace:
    served = {
        endpoint_port(view.workloads[key], each): number(f"{key} {each.target_port}")
        for service in view.services.values()
        if key in service.workloads
        for each in service.ports
    }
    gateway = "istio" in view.workloads[key].labels
    return WorkloadPlace(
        address=f"127.2.0.{number(key) - 20_000}",
        admin=15_000,
        http_proxy=15_001,
        inbound={80: 8080, 81: 8081} if gateway else served,
        app=served,
        outbound={
            f"{each.hostname}:{port.number}": number(f"{each.hostname}:{port.number}")
            for each in view.services.values()
            for port in each.ports
        },
    )


def snapshot(texts: Iterable[str], folder: Path) -> Snapshot:
    view = view_of("---".join(texts), folder)
    return Snapshot(view, Placement({key: place(view, key) for key in view.workloads}), MeshSettings())


def edited(*names: str) -> list[str]:
    texts: dict[str, str | None] = {**MESH, **{EDITS[name][0]: EDITS[name][1] for name in names}}
    return [text for text in texts.values() if text is not None]


def versions(made: Snapshot, key: str) -> dict[str, str]:
    """By type, what a proxy's configuration is; empty for one that the mesh does not know."""
    proxy = made.proxy(key)
    found = configuration(proxy, made) if proxy is not None else {}
    return {SHORT_NAMES[each]: bundle.version for each, bundle in found.items()}


def all_versions(made: Snapshot) -> dict[str, dict[str, str]]:
    return {key: versions(made, key) for key in (*PROXIES, "api-v2.shop", "api-v3.shop", "ledger-v1.tools")}


def planned(before: Snapshot, after: Snapshot, keys: Iterable[str]) -> dict[str, set[str]]:
    edit = changes(before, after)
    return {key: {SHORT_NAMES[each] for each in edit.concerning(key)} for key in keys}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return snapshot(MESH.values(), tmp_path_factory.mktemp("mesh"))


@pytest.fixture(scope="module")
def first_versions(first: Snapshot) -> dict[str, dict[str, str]]:
    return all_versions(first)


@pytest.mark.parametrize("name", EDITS)
def test_a_plan_leaves_nothing_out_and_is_no_wider_than_the_edit(
    name: str, first: Snapshot, first_versions: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    second = snapshot(edited(name), tmp_path)
    found = all_versions(second)
    for before, after in ((first, second), (second, first)):
        for key, types in planned(before, after, found).items():
            then, now = first_versions[key], found[key]
            changed = {each for each in then.keys() | now.keys() if then.get(each) != now.get(each)}
            assert changed <= types, key
    if name in FEW:
        assert planned(first, second, PROXIES) == {key: set(FEW[name].get(key, "").split()) for key in PROXIES}


def test_other_settings_and_a_first_snapshot_concern_everybody(first: Snapshot) -> None:
    second = Snapshot(first.view, first.placement, MeshSettings(sampling=100))
    for before in (None, first):
        assert {key: changes(before, second).concerning(key) for key in PROXIES} == dict.fromkeys(PROXIES, EVERYTHING)


def test_a_proxy_that_joins_or_leaves_is_concerned(first: Snapshot, tmp_path: Path) -> None:
    second = snapshot(edited("one endpoint more"), tmp_path)
    assert changes(first, second).concerning("api-v3.shop") == EVERYTHING
    assert changes(second, first).concerning("api-v3.shop") == EVERYTHING
    assert changes(first, second).concerning("nobody.shop") == NOTHING


def test_subsets_are_server_names_of_gateways_that_pass_connections_on(tmp_path: Path) -> None:
    servers = '[{port: {number: 81, name: tls, protocol: TLS}, hosts: ["*.local"], tls: {mode: AUTO_PASSTHROUGH}}]'
    passing = resource("Gateway", "front.edge", f"{{selector: {{istio: ingressgateway}}, servers: {servers}}}")
    texts = {**MESH, "front": passing}
    first = snapshot(texts.values(), tmp_path)
    second = snapshot([text for name, text in texts.items() if name not in ("subsets", "split")], tmp_path)
    assert versions(first, "ingress.edge")["lds"] != versions(second, "ingress.edge")["lds"]
    assert "lds" in planned(first, second, PROXIES)["ingress.edge"]
