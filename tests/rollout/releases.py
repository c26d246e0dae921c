"""A release's files for tests."""

from __future__ import annotations

CANARY = """
apiVersion: windvane.dev/v1alpha1
kind: Canary
metadata: {name: reviews, namespace: shop}
spec:
  service: {name: reviews}
  baseline: v1
  canary: v2
  progressDeadlineSeconds: 3600
  analysis:
    interval: 1m
    stepWeights: [5, 20, 50]
    hold: 3m
"""
ROUTES = """\
# who gets the reviews
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews]
  http:
    - match: [{headers: {end-user: {exact: jason}}}]   # testers
      route:
        - destination: {host: reviews, subset: v3}
    - route:
        - destination:
            host: reviews.shop.svc.cluster.local
            subset: v1
          weight: 100   # the old one
        - {weight: 0, destination: {host: reviews, subset: v2}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings, namespace: shop}
spec:
  hosts: [ratings]
  http: [{route: [{destination: {host: ratings, subset: v1}, weight: 90}, {destination: {host: ratings, subset: v2}, weight: 10}]}]
"""  # noqa: E501  # as people write it
