"""Answers of a remote read: one message with samples, or a stream of frames with chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numba
import numpy as np

from windvane.signals.remote_read.chunks import Bytes, Floats, Integers, crc32c, encode
from windvane.signals.remote_read.histogram_chunks import histogram_chunks
from windvane.signals.remote_read.histograms import Histogram, block, read_histogram, varint

_FRAME = 1 << 20
"""Bytes after which a frame of a stream is sent."""
_MOST_SAMPLE = 24
_XOR = 1
_kernel = numba.njit(nogil=True, cache=True, error_model="numpy")


class Series(NamedTuple):
    """Series with their samples: series i has times[offsets[i]:offsets[i + 1]], ascending (ms).

    `histograms` has for each series its native ones with their times (None: a staleness marker); empty
    where no series has any.
    """

    labels: Sequence[Mapping[str, str]]
    offsets: Integers
    times: Integers
    values: Floats
    histograms: Sequence[Sequence[tuple[int, Histogram | None]]] = ()


def samples_response(results: Sequence[Series]) -> bytes:
    """A ReadResponse: for each query its series with all samples."""
    return b"".join(block(1, _query_result(result)) for result in results)


def _query_result(result: Series) -> bytes:
    out = np.empty(len(result.times) * _MOST_SAMPLE, np.uint8)
    ends = np.zeros(len(result.offsets), np.int64)
    write_samples(result.times, result.values.view(np.uint64), result.offsets, out, ends)
    text, bounds = memoryview(out.data), ends.tolist()
    native = [b"".join(block(4, read_histogram(one, time)) for time, one in some) for some in result.histograms]
    return b"".join(
        block(1, b"%s%s%s" % (_labels(labels), text[bounds[row] : bounds[row + 1]], native[row] if native else b""))
        for row, labels in enumerate(result.labels)
    )


def chunked_response(results: Sequence[Series]) -> Iterator[bytes]:
    """Frames of ChunkedReadResponse messages: a length, a checksum, and series with their chunks."""
    for number, result in enumerate(results):
        index = b"\x10" + varint(number)
        message = bytearray()
        bounds = result.offsets.tolist()
        for row, labels in enumerate(result.labels):
            part = slice(bounds[row], bounds[row + 1])
            head, chunks, size = _labels(labels), bytearray(), 0
            for kind, first, last, data in _chunks_of(result, row, part):
                chunk = b"\x08" + varint(first) + b"\x10" + varint(last) + b"\x18" + varint(kind) + block(4, data)
                chunks += block(2, chunk)
                size = len(message) + len(chunks)
                if size > _FRAME:
                    yield _frame(message + block(1, head + chunks) + index)
                    message, chunks = bytearray(), bytearray()
            if chunks:
                message += block(1, head + chunks)
        if message:
            yield _frame(message + index)


def _chunks_of(result: Series, row: int, part: slice) -> list[tuple[int, int, int, memoryview | bytes]]:
    """The chunks of a series in order of time: encoding, first and last time, data."""
    floats = [(_XOR, *chunk) for chunk in encode(result.times[part], result.values[part])]
    if not result.histograms or not result.histograms[row]:
        return [*floats]
    return sorted([*floats, *histogram_chunks(result.histograms[row])], key=lambda chunk: chunk[1:3])


def _frame(message: bytes | bytearray) -> bytes:
    data = bytes(message)
    return varint(len(data)) + crc32c(data).to_bytes(4, "big") + data


def _labels(labels: Mapping[str, str]) -> bytes:
    pairs = ((name.encode(), value.encode()) for name, value in labels.items())
    return b"".join(block(1, block(1, name) + block(2, value)) for name, value in pairs)


@_kernel
def write_samples(times: Integers, bits: Integers, offsets: Integers, out: Bytes, ends: Integers) -> None:
    """Write every sample as a field of a TimeSeries; those of series i go from ends[i] to ends[i + 1]."""
    place = 0
    for series in range(len(offsets) - 1):
        for j in range(offsets[series], offsets[series + 1]):
            time = np.uint64(times[j])
            width, rest = 1, time >> np.uint64(7)
            while rest:
                width += 1
                rest >>= np.uint64(7)
            out[place] = 0x12
            out[place + 1] = 10 + width
            out[place + 2] = 0x09
            for byte in range(8):
                out[place + 3 + byte] = np.uint8((bits[j] >> np.uint64(8 * byte)) & np.uint64(255))
            out[place + 11] = 0x10
            place += 12
            for _ in range(width - 1):
                out[place] = np.uint8(time & np.uint64(127)) | np.uint8(128)
                time >>= np.uint64(7)
                place += 1
            out[place] = np.uint8(time)
            place += 1
        ends[series + 1] = place


def warm() -> None:
    """Load (or, once, compile) the kernels."""
    one = Series([{"a": "b"}], np.array([0, 2]), np.array([0, 1]), np.array([0.0, 1.0]))
    samples_response([one])
    list(chunked_response([one]))
