"""Access-log messages recorded from a real Envoy, and small ways to make and store others."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from windvane.signals import envoy_als
from windvane.store.api import Engine, PayloadInsert

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of pydantic, on the import of generated classes
    import envoy_data_plane.envoy.config.core.v3 as core
    import envoy_data_plane.envoy.data.accesslog.v3 as entries
    import envoy_data_plane.envoy.service.accesslog.v3 as service

__all__ = ["core", "entries", "envelopes", "insert", "load", "save", "service"]

RECORDING = Path(__file__).parent / "signals" / "recordings" / "envoy-1.40.als.gz"


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def save(messages: Iterable[tuple[int, bytes]], file: Path) -> None:
    """Write (stream number, message) pairs, compressed: each a varint, a length and the message."""
    data = b"".join(varint(stream) + varint(len(data)) + data for stream, data in messages)
    file.write_bytes(gzip.compress(data, mtime=0))


def load(file: Path = RECORDING) -> Iterator[tuple[int, bytes]]:
    """The (stream number, message) pairs of a recording, in the order of their arrival."""
    data, position = gzip.decompress(file.read_bytes()), 0
    while position < len(data):
        stream, position = _varint(data, position)
        length, position = _varint(data, position)
        yield stream, data[position : position + length]
        position += length


def envelopes() -> list[tuple[bytes, int]]:
    """The recording as the listener would hand it on: (envelope, entries)."""
    who: dict[int, envoy_als.Identifier] = {}
    found = []
    for stream, message in load():
        who[stream] = envoy_als.identifier(message) or who[stream]
        found.append((envoy_als.envelope(who[stream], message), envoy_als.count_entries(message)))
    return found


def insert(engine: Engine, payload: bytes, commit: int = 1) -> int:
    """Decode envelopes into `envoy_access_logs` as one commit."""
    return engine.insert_payload(
        PayloadInsert(
            envoy_als.TABLE,
            envoy_als.COLUMNS,
            envoy_als.select(commit),
            envoy_als.FORMAT,
            envoy_als.STRUCTURE,
            envoy_als.SETTINGS,
        ),
        payload,
    )


def _varint(data: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, position
