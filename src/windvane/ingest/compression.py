"""Content-Encoding of requests: gzip, deflate, zstd, snappy; what comes out is never larger than the limit."""

from __future__ import annotations

import gzip
import zlib

import cramjam

from windvane.kit.errors import BadInputError, LimitError

ENCODINGS = "gzip, deflate, zstd, snappy or identity"


class UnknownEncodingError(BadInputError):
    """A Content-Encoding that is not read here."""


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its Content-Encoding; `LimitError` when it is larger than `limit` bytes.

    snappy is the block format, as Prometheus sends it.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        plain = body
    elif encoding in ("gzip", "deflate"):
        plain = _inflate(body, 31 if encoding == "gzip" else 15, limit)
    elif encoding == "zstd":
        plain = _zstd(body, limit)
    elif encoding == "snappy":
        plain = _snappy(body, limit)
    else:
        raise UnknownEncodingError(f"content encoding {encoding!r} is not {ENCODINGS}")
    if len(plain) > limit:
        raise _too_large(limit)
    return plain


def _too_large(limit: int) -> LimitError:
    return LimitError(f"the request is larger than {limit} bytes")


def _inflate(body: bytes, window: int, limit: int) -> bytes:
    """All members of a compressed body, stopping as soon as the limit is passed."""
    pieces: list[bytes] = []
    size = 0
    try:
        while body and size <= limit:
            stream = zlib.decompressobj(window)
            pieces.append(stream.decompress(body, limit + 1 - size))
            size += len(pieces[-1])
            if not stream.eof and size <= limit:
                raise BadInputError("the compressed body ends early")
            body = stream.unused_data
    except (zlib.error, gzip.BadGzipFile) as error:
        raise BadInputError(f"the body does not decompress: {error}") from None
    return b"".join(pieces)


def _snappy(body: bytes, limit: int) -> bytes:
    try:
        if cramjam.snappy.decompress_raw_len(body) > limit:  # as the block itself claims
            raise _too_large(limit)
        return bytes(memoryview(cramjam.snappy.decompress_raw(body)))
    except cramjam.DecompressionError as error:
        raise BadInputError(f"the body does not decompress: {error}") from None


def _zstd(body: bytes, limit: int) -> bytes:
    """Into buffers that grow up to the limit: a frame need not tell its size, and may lie."""
    size = min(limit, max(1 << 16, 8 * len(body)))
    while True:
        buffer = bytearray(size + 1)
        try:
            used = cramjam.zstd.decompress_into(body, buffer)
            return bytes(memoryview(buffer)[:used])
        except cramjam.DecompressionError as error:
            if "whole buffer" not in str(error):
                raise BadInputError(f"the body does not decompress: {error}") from None
        if size >= limit:
            raise _too_large(limit)
        size = min(limit, 8 * size)
