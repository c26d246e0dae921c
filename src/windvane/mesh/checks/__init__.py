"""Istio's validation of single resources and its analysis of how they fit together.

Each module looks at one kind and yields problems; pure functions of typed resources.
"""
