"""Windvane: monitoring and tracing for an Istio service mesh in one Python program."""

__version__ = "0.1.0"
