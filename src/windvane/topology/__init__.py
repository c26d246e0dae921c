"""The service graph and health, computed from Istio's metrics.

May import store, promql, kit.
"""
