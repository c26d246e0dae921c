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
GATEWAY_ROUTES = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: reviews, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: reviews, port: 9080}]
  rules:
    # who reads
    - matches:
        - path: {type: PathPrefix, value: /}
      backendRefs:
        - name: reviews-v1
          port: 9080
          weight: 1
        - name: reviews-v2
          port: 9080
          weight: 0   # nothing yet
"""
SURROUNDINGS = "---".join(
    [
        *(
            f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec: {{ports: [{{name: http, port: 9080}}], selector: {{app: {name.partition("-")[0]}}}}}
"""
            for name in ("reviews", "reviews-v1", "reviews-v2", "ratings", "rated", "log")
        ),
        *(
            f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: shop}}
spec:
  host: {name}
  subsets: [{", ".join(f"{{name: {one}, labels: {{version: {one}}}}}" for one in ("v1", "v2", "v3", "v4"))}]
"""
            for name in ("reviews", "ratings")
        ),
        *(
            f"""
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: {app}-{version}, namespace: shop}}
spec: {{address: 10.0.0.{number}, labels: {{app: {app}, version: {version}}}}}
"""
            for app in ("reviews", "ratings", "rated", "log")
            for number, version in enumerate(("v1", "v2", "v3", "v4"), start=1)
        ),
    ]
)
"""What the routes speak of: services, their subsets and workloads."""
