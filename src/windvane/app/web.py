"""HTTP listeners: uvicorn inside the server's own event loop, stopped by the server, not by signals."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from windvane.kit.errors import ConflictError
from windvane.kit.values import Address

_BACKLOG = 2048


class _Uvicorn(uvicorn.Server):
    """Leaves the process's signal handlers alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class WebListener:
    """One application on one address. `address` is the one really bound."""

    def __init__(self, application: ASGIApp, wanted: Address) -> None:
        self._socket = _bind(wanted)
        self.address = Address(wanted.host, int(self._socket.getsockname()[1]))
        config = uvicorn.Config(
            application,
            lifespan="off",
            log_config=None,
            access_log=False,
            http="httptools",
            backlog=_BACKLOG,
            timeout_graceful_shutdown=5,
        )
        self._server = _Uvicorn(config)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))

    async def stop(self) -> None:
        """Finish what is being answered, then close."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._socket.close()


def _bind(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
        listener.listen(_BACKLOG)  # from here on connections wait instead of being refused
    except OSError as error:
        listener.close()
        raise ConflictError(f"cannot listen on {address}: {error.strerror}") from error
    return listener
