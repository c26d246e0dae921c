"""A host's traffic policy with its levels merged: rule, subset, port.

A subset's policy overrides the rule's field by field; a port's policy replaces all that the levels
above it say, it does not extend them (Istio's DestinationRule reference, `portLevelSettings`).
"""

from __future__ import annotations

from dataclasses import dataclass

from windvane.mesh.models import (
    ClientTLSSettings,
    ConnectionPoolSettings,
    DestinationRule,
    LoadBalancerSettings,
    OutlierDetection,
    Subset,
    TrafficPolicy,
)
from windvane.mesh.models.destination_rule import ProxyProtocol, RetryBudget


@dataclass(frozen=True, slots=True)
class Policy:
    """How one cluster treats its endpoints."""

    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None


NO_POLICY = Policy()


def policy_for(rule: DestinationRule | None, subset: Subset | None, port: int) -> Policy:
    """The policy of a service port (of one of its subsets) under the rule that the client uses."""
    if rule is None:
        return NO_POLICY
    whole = _at_port(NO_POLICY, rule.spec.traffic_policy, port)
    return _at_port(whole, subset.traffic_policy, port) if subset else whole


def _at_port(inherited: Policy, policy: TrafficPolicy | None, port: int) -> Policy:
    if policy is None:
        return inherited
    # A port's settings have no fields for these two: they hold for all ports.
    proxy_protocol = policy.proxy_protocol or inherited.proxy_protocol
    budget = policy.retry_budget or inherited.retry_budget
    for each in policy.port_level_settings:
        if each.port is not None and each.port.number == port:
            own = (each.load_balancer, each.connection_pool, each.outlier_detection, each.tls)
            return Policy(*own, proxy_protocol, budget)
    return Policy(
        load_balancer=policy.load_balancer or inherited.load_balancer,
        connection_pool=policy.connection_pool or inherited.connection_pool,
        outlier_detection=policy.outlier_detection or inherited.outlier_detection,
        tls=policy.tls or inherited.tls,
        proxy_protocol=proxy_protocol,
        retry_budget=budget,
    )
