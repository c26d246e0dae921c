"""Traces: search, assembly, adjusters, and the access-log entries of the same request.

May import store and kit; strangers: promql, topology.
"""
