"""The hash that Prometheus gives a label set, by which limit_ratio chooses.

It is XXH64 (seed 0) of names and values in order, each preceded by its length: one byte, or from
255 on the byte 255 and three bytes, low first. Algorithm: https://xxhash.com/doc/v0.8.3/
(doc/xxhash_spec.md).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

import numpy as np

from windvane.promql.value import Floats

_MASK = (1 << 64) - 1
_P1, _P2, _P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P4, _P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def offsets(labels: Iterable[Mapping[str, str]]) -> Floats:
    """The hash of each label set (names in sorted order) as a share of all hashes, 0 to 1."""
    return np.fromiter((xxh64(_encoded(one)) / float(_MASK) for one in labels), np.float64)


def _encoded(labels: Mapping[str, str]) -> bytes:
    parts = []
    for pair in labels.items():
        for text in pair:
            data = text.encode()
            size = len(data)
            parts += [bytes([size]) if size < 255 else b"\xff" + size.to_bytes(3, "little"), data]
    return b"".join(parts)


def xxh64(data: bytes) -> int:
    """XXH64 with seed 0."""
    place, digest = 0, _P5
    if len(data) >= 32:
        lanes = [(_P1 + _P2) & _MASK, _P2, 0, -_P1 & _MASK]
        while place + 32 <= len(data):
            words = struct.unpack_from("<4Q", data, place)
            lanes = [_round(lane, word) for lane, word in zip(lanes, words, strict=True)]
            place += 32
        digest = sum(_rotated(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18), strict=True)) & _MASK
        for lane in lanes:
            digest = ((digest ^ _round(0, lane)) * _P1 + _P4) & _MASK
    digest = _tail(data[place:], (digest + len(data)) & _MASK)
    digest = ((digest ^ (digest >> 33)) * _P2) & _MASK
    digest = ((digest ^ (digest >> 29)) * _P3) & _MASK
    return digest ^ (digest >> 32)


def _tail(data: bytes, digest: int) -> int:
    """Mix in what is left over: eights, a four, single bytes."""
    place = 0
    while place + 8 <= len(data):
        (word,) = struct.unpack_from("<Q", data, place)
        digest = (_rotated(digest ^ _round(0, word), 27) * _P1 + _P4) & _MASK
        place += 8
    if place + 4 <= len(data):
        (word,) = struct.unpack_from("<I", data, place)
        digest = (_rotated(digest ^ (word * _P1 & _MASK), 23) * _P2 + _P3) & _MASK
        place += 4
    for byte in data[place:]:
        digest = (_rotated(digest ^ (byte * _P5 & _MASK), 11) * _P1) & _MASK
    return digest


def _round(lane: int, word: int) -> int:
    return _rotated((lane + word * _P2) & _MASK, 31) * _P1 & _MASK


def _rotated(value: int, by: int) -> int:
    return (value << by | value >> (64 - by)) & _MASK
