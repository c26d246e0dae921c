"""Istio and Kubernetes resources as typed models, their sources, the merged view, validation.

May import kit only: control must survive the loss of the store.
"""
