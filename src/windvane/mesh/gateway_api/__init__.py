"""Kubernetes Gateway API as Istio understands it: its resources made into Istio's own, for the merged view.

Pure. `listeners` makes a Gateway of each listener, `attach` finds the listeners or services that a route is for,
`backends` its destinations, `http`, `grpc` and `streams` translate rules, `precedence` orders them, and `translate`
joins all. What is wrong is told as the conditions that Istio's controller would write into a resource's status.
"""
