"""Ready-checks of processes: small questions over HTTP or TCP, answered False until the answer is yes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from windvane.local.http1 import HttpClient, Response, SendError, encode_request

_PATIENCE = 2.0


async def get(host: str, port: int, path: str, patience: float = _PATIENCE) -> Response | None:
    """A GET on a connection of its own; None when there is no whole answer within `patience` seconds."""
    client = HttpClient(host, port, idle=0)
    with contextlib.suppress(SendError, TimeoutError):
        async with asyncio.timeout(patience):
            return await client.request(encode_request("GET", path, f"{host}:{port}", [("connection", "close")]))
    return None


async def answers(host: str, port: int, path: str) -> bool:
    """Whether a GET is answered with 200."""
    response = await get(host, port, path)
    return response is not None and response.status == 200


async def accepts(addresses: Iterable[tuple[str, int]]) -> bool:
    """Whether connections are accepted at every one of these addresses."""
    return all(await asyncio.gather(*(_connects(host, port) for host, port in addresses)))


async def _connects(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
