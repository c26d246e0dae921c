"""Listeners and loops that take telemetry in: socket, bytes, store, with every record accounted.

May import signals, store, kit. Knows no HTTP framework: HTTP faces are mounted by `windvane.api`.
"""
