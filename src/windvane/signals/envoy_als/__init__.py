"""Envoy's access log service, v3: what proxies stream, and the SQL by which the engine reads it.

Protocol: https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/accesslog/v3/als.proto
"""

from windvane.signals.envoy_als.decode import COLUMNS, FORMAT, SETTINGS, STRUCTURE, TABLE, select
from windvane.signals.envoy_als.envelope import Identifier, count_entries, envelope, identifier

__all__ = [
    "COLUMNS",
    "FORMAT",
    "SETTINGS",
    "STRUCTURE",
    "TABLE",
    "Identifier",
    "count_entries",
    "envelope",
    "identifier",
    "select",
]
