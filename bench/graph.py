"""How long a service graph takes: 1,000 services, 20,000 edge series (5,000 edges, both reporters, two codes).

Run as `python bench/graph.py [services]`; prints medians in milliseconds, the target (300 ms) beside them.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from machine import machine, measured

from windvane.api.kiali_json import graph_json
from windvane.promql.engine import QueryEngine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.store.series import SampleWriter
from windvane.topology.graph import build_graph
from windvane.topology.identity import GraphType
from windvane.topology.model import GraphQuery
from windvane.topology.services import service_signals
from windvane.topology.traffic import asker

NOW = 1_790_000_000_000
CALLS = 5
BUCKETS = ("5", "25", "100", "500", "2500", "+Inf")


def _peer(side: str, number: int) -> dict[str, str]:
    name = f"svc-{number}"
    return {
        f"{side}_workload": f"{name}-v1",
        f"{side}_workload_namespace": f"team-{number % 20}",
        f"{side}_canonical_service": name,
        f"{side}_canonical_revision": "v1",
        f"{side}_app": name,
        f"{side}_version": "v1",
        f"{side}_cluster": "Kubernetes",
        f"{side}_principal": f"spiffe://cluster.local/ns/team-{number % 20}/sa/{name}",
    }


def _requests(services: int) -> list[dict[str, str]]:
    rng = random.Random(1)
    found = []
    for source in range(services):
        for target in rng.sample(range(services), CALLS):
            name, space = f"svc-{target}", f"team-{target % 20}"
            for reporter in ("source", "destination"):
                for code in ("200", "503"):
                    found += [
                        {
                            "reporter": reporter,
                            **_peer("source", source),
                            **_peer("destination", target),
                            "destination_service": f"{name}.{space}.svc.cluster.local",
                            "destination_service_name": name,
                            "destination_service_namespace": space,
                            "request_protocol": "http",
                            "response_code": code,
                            "response_flags": "-" if code == "200" else "UF",
                            "connection_security_policy": "mutual_tls" if reporter == "destination" else "unknown",
                        }
                    ]
    return found


def fill(writer: SampleWriter, services: int) -> int:
    """A minute of counters every 5 s; the number of request series."""
    requests = _requests(services)
    labels = [{"__name__": "istio_requests_total", **labels} for labels in requests]
    for one in requests:
        if one["response_code"] == "200":
            labels += [
                {"__name__": "istio_request_duration_milliseconds_bucket", **one, "le": bound} for bound in BUCKETS
            ]
    values = np.arange(len(labels)) % 97 + 1.0
    for second in range(0, 70, 5):
        writer.write(labels, np.full(len(labels), NOW - 65_000 + second * 1_000), values * second)
    return len(requests)


def main() -> None:
    print(machine())
    services = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    with tempfile.TemporaryDirectory() as directory:
        engine = EmbeddedEngine.open(Path(directory))
        migrate(engine, Retention(default=None))
        print(f"{services:,} services, {fill(SampleWriter(engine), services):,} request series")
        ask = asker(QueryEngine(engine))
        plain = GraphQuery(NOW, 60, GraphType.VERSIONED_APP, response_time=None, tcp="none")
        graph = build_graph(ask, plain)
        print(f"{len(graph.nodes):,} nodes, {len(graph.edges):,} edges")
        cases: list[tuple[str, Callable[[], Any]]] = [
            ("graph with traffic, mTLS, health", lambda: build_graph(ask, plain)),
            ("  the query alone", lambda: ask(_QUERY, NOW)),
            ("  as Kiali's JSON", lambda: orjson.dumps(graph_json(graph, ("namespace", "app")))),
            ("graph with service nodes", lambda: build_graph(ask, replace(plain, inject_services=True))),
            ("service graph", lambda: build_graph(ask, replace(plain, graph_type=GraphType.SERVICE))),
            (f"graph with p95 ({len(BUCKETS)} buckets)", lambda: build_graph(ask, replace(plain, response_time=0.95))),
            ("services' golden signals", lambda: service_signals(ask, NOW, 60)),
        ]
        for name, run in cases:
            print(f"{name:40s} {measured(run)}", flush=True)
        engine.close()


_QUERY = "sum by (reporter, source_workload, destination_workload, response_code) (rate(istio_requests_total[60s]))"


if __name__ == "__main__":
    main()
