"""Meshes drawn at random: resources that are valid by themselves, with fields that seldom meet otherwise."""

from __future__ import annotations

import json
import random

from tls_secrets import made, secret, tls_secret

EDGE = "edge.shop"
"""The gateway workload of drawn meshes."""


def drawn_secrets() -> str:
    """Secrets for the edge: `served` has a certificate, `trusted` a CA; `absent` stays absent."""
    root = made("root")
    items = [
        tls_secret("shop/served", made("served", by=root, hosts=("*.example.com",)), root),
        secret("shop/trusted", {"cacert": root.pem}),
    ]
    return "".join(f"\n---\n{json.dumps(item)}" for item in items)


def drawn_edge(draw: random.Random) -> str:
    """A gateway with servers of any mode, and routes behind it."""
    modes = {
        "SIMPLE": "credentialName: served",
        "MUTUAL": f"credentialName: served, caCertCredentialName: {draw.choice(['trusted', 'absent'])}",
        "OPTIONAL_MUTUAL": "credentialNames: [served, absent], subjectAltNames: [a.example.com]",
        "ISTIO_MUTUAL": "minProtocolVersion: TLSV1_2",
        "PASSTHROUGH": "",
        "AUTO_PASSTHROUGH": "",
    }
    servers = []
    for number, mode in enumerate(draw.sample(sorted(modes), 3)):
        protocol = "TLS" if "PASSTHROUGH" in mode else draw.choice(["HTTPS", "TLS"])
        hosts = '["*.local"]' if mode == "AUTO_PASSTHROUGH" else f'["h{number}.example.com"]'
        port = f"{{number: {draw.choice([443, 8443])}, name: s{number}, protocol: {protocol}}}"
        servers.append(f"\n    - {{port: {port}, hosts: {hosts}, tls: {{mode: {mode}, {modes[mode]}}}}}")
    subnets = draw.choice(["", "destinationSubnets: [10.0.0.0/8, 1.2.3.4], "])
    return f"""
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: edge, namespace: shop}}
spec: {{labels: {{istio: egressgateway}}}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge, namespace: shop}}
spec:
  selector: {{istio: egressgateway}}
  servers:{"".join(servers)}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: edge, namespace: shop}}
spec:
  hosts: ["*.example.com"]
  gateways: [edge]
  http: [{{route: [{{destination: {{host: reviews}}}}]}}]
  tcp: [{{match: [{{{subnets}port: 443}}, {{port: 8443}}], route: [{{destination: {{host: ledger}}}}]}}]
  tls:
    - match: [{{{subnets}sniHosts: [h0.example.com, h1.example.com]}}]
      route: [{{destination: {{host: ledger}}}}]
    - match: [{{sniHosts: ["*.example.com"]}}]
      route: [{{destination: {{host: "*.dynamic.example.com", port: {{number: 443}}}}}}]
"""


def drawn_services(draw: random.Random) -> str:
    """Services outside of the mesh, of every resolution, and one that keeps to what is near."""
    static = draw.choice(["1.2.3.4", "unix:///run/a.sock", "unix://@a"])
    entries = {
        "static": f"hosts: [static.example.com], resolution: STATIC, endpoints: [{{address: '{static}'}}]",
        "dns": "hosts: [dns.example.com], resolution: DNS",
        "one": "hosts: [one.example.com], resolution: DNS_ROUND_ROBIN",
        "none": "hosts: ['*.none.example.com'], resolution: NONE",
        "dynamic": "hosts: ['*.dynamic.example.com'], resolution: DYNAMIC_DNS",
    }
    ports = "[{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]"
    made_entries = "".join(
        f"""
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: shop}}
spec: {{{spec}, ports: {ports}, location: MESH_EXTERNAL}}
"""
        for name, spec in entries.items()
    )
    tls = f"{{mode: {draw.choice(['SIMPLE', 'MUTUAL'])}, credentialName: {draw.choice(['served', 'absent'])}}}"
    preferred = draw.choice(["PreferClose", "PreferSameNode", ""])
    return f"""{made_entries}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: outside, namespace: shop}}
spec:
  host: "*.example.com"
  trafficPolicy: {{tls: {tls}}}
---
apiVersion: v1
kind: Service
metadata: {{name: near, namespace: shop}}
spec:
  clusterIP: {draw.choice(["None", "10.1.2.3"])}
  trafficDistribution: "{preferred}"
  selector: {{app: reviews}}
  ports: [{{name: http, port: 8000, targetPort: 9080}}]
"""


def drawn_sidecar(draw: random.Random) -> str:
    """A Sidecar of the namespace: what its workloads accept and know."""
    pool = "{tcp: {maxConnections: 5}, http: {http2MaxRequests: 9, useClientProtocol: true}}"
    target = draw.choice(["127.0.0.1:8080", ":9090", "unix:///run/app.sock", "unix://@app", "0.0.0.0:5"])
    protocol = draw.choice(["HTTP", "GRPC", "TCP", "HTTP2"])
    outbound = draw.choice([
        "{mode: REGISTRY_ONLY}",
        "{mode: ALLOW_ANY}",
        "{mode: ALLOW_ANY, egressProxy: {host: ledger.shop.svc.cluster.local, port: {number: 5432}}}",
    ])  # fmt: skip
    return f"""
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: default, namespace: shop}}
spec:
  inboundConnectionPool: {pool}
  ingress:
    - {{port: {{number: 9080, protocol: {protocol}}}, defaultEndpoint: "{target}", connectionPool: {pool}}}
  egress:
    - {{port: {{number: 5432, protocol: TCP}}, hosts: [./ledger.shop.svc.cluster.local]}}
    - {{hosts: ["*/*"]}}
  outboundTrafficPolicy: {outbound}
"""
