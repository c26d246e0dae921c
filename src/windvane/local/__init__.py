"""A mesh on this machine: sidecars and workloads as processes, emulated services, traffic, scenarios.

May import xds, mesh, kit.
"""
