"""What an OTLP server answers, in protobuf and in JSON.

https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

from __future__ import annotations

import orjson

from windvane.signals.otlp.wire import block, integer

# google.rpc.Code by kind of error; a sender retries on RESOURCE_EXHAUSTED with RetryInfo and on UNAVAILABLE.
CODES = {
    "bad_input": 3,
    "not_found": 5,
    "limit": 8,
    "conflict": 10,
    "internal": 13,
    "overloaded": 14,
    "unavailable": 14,
}
_RETRY_INFO = b"type.googleapis.com/google.rpc.RetryInfo"


def exported(*, json: bool, rejected: int = 0, message: str = "", records: str = "rejectedSpans") -> bytes:
    """An Export…ServiceResponse; with a partial success when records were rejected or there is a warning."""
    if json:
        partial = ({records: str(rejected)} if rejected else {}) | ({"errorMessage": message} if message else {})
        return orjson.dumps({"partialSuccess": partial} if partial else {})
    partial_bytes = (integer(1, rejected) if rejected else b"") + (block(2, message.encode()) if message else b"")
    return block(1, partial_bytes) if partial_bytes else b""


def status(kind: str, message: str, retry_after: float | None = None, *, json: bool) -> bytes:
    """A google.rpc.Status for an error's kind, with RetryInfo when it passes by itself."""
    if json:
        details = (
            [{"@type": _RETRY_INFO.decode(), "retryDelay": f"{retry_after:g}s"}] if retry_after is not None else []
        )
        return orjson.dumps({"code": CODES[kind], "message": message} | ({"details": details} if details else {}))
    parts = integer(1, CODES[kind]) + block(2, message.encode())
    if retry_after is not None:
        seconds, nanos = int(retry_after), round(retry_after % 1 * 1e9)
        delay = integer(1, seconds) + (integer(2, nanos) if nanos else b"")
        parts += block(3, block(1, _RETRY_INFO) + block(2, block(1, delay)))
    return parts
