"""Istio's validation of what a DestinationRule says beyond balancing: tunnels, PROXY headers, budgets, pings."""

from __future__ import annotations

from collections.abc import Iterator

from windvane.mesh.checks.common import Problem, check_duration, check_host, check_port, invalid
from windvane.mesh.models import TrafficPolicy
from windvane.mesh.models.destination_rule import ConnectionKeepalive, RetryBudget, TunnelSettings
from windvane.mesh.yaml_source import Path


def check_extras(path: Path, policy: TrafficPolicy) -> Iterator[Problem]:
    """What holds for a host or subset as a whole, not for a single port."""
    if policy.tunnel is not None and policy.proxy_protocol is not None:
        yield invalid(path, "tunnel and proxyProtocol must not be set together")
    yield from _check_tunnel((*path, "tunnel"), policy.tunnel)
    yield from _check_budget((*path, "retryBudget"), policy.retry_budget)


def _check_tunnel(path: Path, tunnel: TunnelSettings | None) -> Iterator[Problem]:
    if tunnel is None:
        return
    if tunnel.protocol not in ("", "CONNECT", "POST"):
        yield invalid((*path, "protocol"), 'tunnel protocol must be "CONNECT" or "POST"')
    if tunnel.target_host == "*" or any(check_host(path, tunnel.target_host, wildcard=False)):
        yield invalid((*path, "targetHost"), "tunnel target host must be valid FQDN or IP address")
    if any(check_port(path, tunnel.target_port)):
        yield invalid((*path, "targetPort"), f"tunnel target port is invalid: {tunnel.target_port}")


def _check_budget(path: Path, budget: RetryBudget | None) -> Iterator[Problem]:
    if budget is not None and not 0 <= (budget.percent or 0) <= 100:
        yield invalid((*path, "percent"), f"percentage {budget.percent:g} is not in range 0..100")


def check_keepalive(path: Path, pings: ConnectionKeepalive | None) -> Iterator[Problem]:
    """HTTP/2 pings: Envoy wants to know how long it may wait for an answer."""
    if pings is None:
        return
    yield from check_duration((*path, "interval"), pings.interval)
    yield from check_duration((*path, "timeout"), pings.timeout)
    if pings.timeout is None:
        yield invalid((*path, "timeout"), "timeout is required")
