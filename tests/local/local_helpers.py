"""Meshes written in a few lines, and waiting for a condition."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{app: {name}}}
  ports: [{{name: {protocol}, port: {port}}}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata:
  name: {name}-v1
  namespace: {namespace}
  annotations: {annotations}
spec:
  labels: {{app: {name}, version: v1}}
  serviceAccount: {name}
---
"""
GATEWAY = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: gw, namespace: istio-system}
spec:
  labels: {istio: ingressgateway}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: door, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
    - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
---
"""


def service(
    name: str, *, namespace: str = "d", protocol: str = "http", port: int = 8080, annotations: str = "{}"
) -> str:
    """YAML of a service with one workload."""
    return SERVICE.format(name=name, namespace=namespace, protocol=protocol, port=port, annotations=annotations)


async def until(condition: Callable[[], Awaitable[bool] | bool], within: float = 15.0) -> None:
    """Return when the condition holds; fail the test when it does not in time."""
    deadline = time.monotonic() + within
    while True:
        held = condition()
        if isinstance(held, Awaitable):
            held = await held
        if held:
            return
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.02)
