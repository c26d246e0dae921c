"""A real HTTP server on loopback that remembers what it is sent and answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class HttpPeer:
    """`bodies` are the JSON bodies taken; `answers` the statuses to come, then 200 for ever."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        self.bodies: list[Any] = []
        self.paths: list[str] = []
        self.answers: list[int] = []
        self.refused = 0

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """All alerts taken, request by request."""
        return [alert for body in self.bodies for alert in (body if isinstance(body, list) else body["alerts"])]


@contextmanager
def serving() -> Iterator[HttpPeer]:
    """A peer on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = peer.answers.pop(0) if peer.answers else 200
            if status == 200:
                peer.bodies.append(json.loads(body))
                peer.paths.append(self.path)
            else:
                peer.refused += 1
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"no")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    peer = HttpPeer(server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield peer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
