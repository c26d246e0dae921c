"""What a scraped target exposes: text formats 0.0.4 and 1.0.0, OpenMetrics 1.0, protobuf.

A reader is made for a target and keeps what bodies repeat: the text of a series (all bytes before its
value) decides its labels, so a series is parsed once and then only looked up. `reader_for` chooses by
Content-Type. Pure functions and state over bytes; errors name the line.
"""

from windvane.signals.exposition.content import PROTOCOLS, accept_header, protocol_of, reader_for
from windvane.signals.exposition.model import (
    NO_TIME,
    Exemplar,
    Exposition,
    ExpositionError,
    FamilyMetadata,
    NativeHistogram,
    Reader,
    Span,
)

__all__ = [
    "NO_TIME",
    "PROTOCOLS",
    "Exemplar",
    "Exposition",
    "ExpositionError",
    "FamilyMetadata",
    "NativeHistogram",
    "Reader",
    "Span",
    "accept_header",
    "protocol_of",
    "reader_for",
]
