"""Envoy's access logs as text: lines in its format strings, in JSON, as Istio writes them and `kubectl` prints them.

Format strings: https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage
"""

from windvane.signals.envoy_text.formats import LineFormat, compile_format, default_formats
from windvane.signals.envoy_text.reader import BadLine, Entry, LineReader

__all__ = ["BadLine", "Entry", "LineFormat", "LineReader", "compile_format", "default_formats"]
