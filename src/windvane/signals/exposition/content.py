"""Content negotiation of a scrape: what is asked for, and which reader an answer needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from windvane.signals.exposition.model import ExpositionError, Reader
from windvane.signals.exposition.protobuf import ProtobufReader
from windvane.signals.exposition.text import OpenMetricsReader, TextReader


@dataclass(frozen=True, slots=True)
class _Format:
    media_type: str
    parameters: str
    names_utf8: bool = False


PROTOCOLS: dict[str, _Format] = {
    "PrometheusProto": _Format(
        "application/vnd.google.protobuf", ";proto=io.prometheus.client.MetricFamily;encoding=delimited"
    ),
    "PrometheusText0.0.4": _Format("text/plain", ";version=0.0.4"),
    "PrometheusText1.0.0": _Format("text/plain", ";version=1.0.0", names_utf8=True),
    "OpenMetricsText0.0.1": _Format("application/openmetrics-text", ";version=0.0.1"),
    "OpenMetricsText1.0.0": _Format("application/openmetrics-text", ";version=1.0.0", names_utf8=True),
}
"""Prometheus's names of the protocols that a scrape configuration may list."""

_BY_MEDIA_TYPE = {one.media_type: name for name, one in PROTOCOLS.items()}


def accept_header(protocols: Sequence[str], escaping: str = "allow-utf-8") -> str:
    """The header Accept: the first protocol is wanted most."""
    weight = len(PROTOCOLS) + 1
    parts = []
    for place, name in enumerate(protocols):
        wanted = PROTOCOLS[name]
        names = f";escaping={escaping}" if wanted.names_utf8 else ""
        parts.append(f"{wanted.media_type}{wanted.parameters}{names};q=0.{weight - place}")
    return ",".join([*parts, f"*/*;q=0.{weight - len(protocols)}"])


def protocol_of(content_type: str, fallback: str = "") -> str:
    """The protocol of an answer, by its Content-Type; `fallback` is taken when that says nothing known."""
    media_type = content_type.partition(";")[0].strip().lower()
    known = _BY_MEDIA_TYPE.get(media_type, "")
    if known == "PrometheusProto" and "io.prometheus.client.metricfamily" not in content_type.lower():
        known = ""
    if known or fallback:
        return known or fallback
    if not content_type:
        raise ExpositionError(
            "non-compliant scrape target sending blank Content-Type "
            "and no fallback_scrape_protocol specified for target"
        )
    raise ExpositionError(
        f'received unsupported Content-Type "{content_type}" and no fallback_scrape_protocol specified for target'
    )


def reader_for(protocol: str, *, native_histograms: bool = False, classic_histograms: bool = False) -> Reader:
    """A reader of `protocol` for one target.

    With `native_histograms`, a native histogram is read as such, and its classic buckets only with
    `classic_histograms`; without, only classic buckets are.
    """
    if protocol == "PrometheusProto":
        return ProtobufReader(native=native_histograms, classic=classic_histograms)
    return OpenMetricsReader() if protocol.startswith("OpenMetrics") else TextReader()
