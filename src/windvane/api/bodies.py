"""Reading a request's body up to a limit, so that what is too long is refused unread."""

from __future__ import annotations

from starlette.requests import Request

from windvane.kit.errors import LimitError


async def body_of(request: Request, limit: int) -> bytes:
    """The whole body; `LimitError` once it is longer than `limit` bytes, ClientDisconnect when it breaks off."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise LimitError(f"the body is longer than {limit} bytes")
    return bytes(body)
