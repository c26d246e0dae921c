"""A small Kubernetes API server: real list and watch streams over HTTP, with versions, bookmarks and 410."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

Object = dict[str, Any]


class KubernetesServer:
    """Collections by plural name; `put` and `delete` are what watchers hear of."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self._objects: dict[str, dict[tuple[str, str], Object]] = {}
        self._version = 100
        self._watchers: list[tuple[str, str, asyncio.Queue[Object | None]]] = []
        self._oldest = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def put(self, plural: str, thing: Object) -> None:
        """Create or replace an object."""
        self._version += 1
        metadata = thing["metadata"]
        metadata["resourceVersion"] = str(self._version)
        key = metadata.get("namespace", ""), metadata["name"]
        several = self._objects.setdefault(plural, {})
        kind = "MODIFIED" if key in several else "ADDED"
        several[key] = copy.deepcopy(thing)
        self._tell(plural, key[0], {"type": kind, "object": thing})

    def delete(self, plural: str, namespace: str, name: str) -> None:
        """Delete an object."""
        self._version += 1
        thing = self._objects[plural].pop((namespace, name))
        thing["metadata"]["resourceVersion"] = str(self._version)
        self._tell(plural, namespace, {"type": "DELETED", "object": thing})

    def forget(self) -> None:
        """Drop all history: watches end, and go on only after a new list."""
        self._version += 1
        self._oldest = self._version
        for _, _, queue in self._watchers:
            queue.put_nowait({"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}})
            queue.put_nowait(None)

    def end_watches(self) -> None:
        """End all streams, as servers do now and then, after a bookmark."""
        for _, _, queue in self._watchers:
            bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(self._version)}}}
            queue.put_nowait(bookmark)
            queue.put_nowait(None)

    @property
    def watching(self) -> int:
        return len(self._watchers)

    def _tell(self, plural: str, namespace: str, event: Object) -> None:
        for wanted, within, queue in self._watchers:
            if wanted == plural and within in ("", namespace):
                queue.put_nowait(copy.deepcopy(event))

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                target = urlsplit(head[0].split(" ")[1])
                query = {name: values[0] for name, values in parse_qs(target.query).items()}
                headers = dict(line.split(": ", 1) for line in head[1:] if line)
                self.requests.append((target.path, query, {name.lower(): value for name, value in headers.items()}))
                parts = target.path.strip("/").split("/")
                namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts[:-1] else ""
                if query.get("watch"):
                    await self._watch(writer, parts[-1], namespace, int(query["resourceVersion"]))
                else:
                    self._list(writer, parts[-1], namespace, query)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _list(self, writer: asyncio.StreamWriter, plural: str, namespace: str, query: dict[str, str]) -> None:
        found = [one for (place, _), one in self._objects.get(plural, {}).items() if namespace in ("", place)]
        start = int(query.get("continue", 0))
        page = found[start : start + 2]  # two a page: every list of tests goes over several
        metadata: Object = {"resourceVersion": str(self._version)}
        if start + 2 < len(found):
            metadata["continue"] = str(start + 2)
        body = json.dumps({"kind": "List", "metadata": metadata, "items": page}).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )

    async def _watch(self, writer: asyncio.StreamWriter, plural: str, namespace: str, version: int) -> None:
        if version < self._oldest:
            body = b'{"kind":"Status","code":410}'
            writer.write(b"HTTP/1.1 410 Gone\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        queue: asyncio.Queue[Object | None] = asyncio.Queue()
        mine = (plural, namespace, queue)
        self._watchers.append(mine)
        try:
            while (event := await queue.get()) is not None:
                line = json.dumps(event).encode() + b"\n"
                writer.write(b"%x\r\n%s\r\n" % (len(line), line))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
        finally:
            self._watchers.remove(mine)


@asynccontextmanager
async def kubernetes() -> AsyncIterator[KubernetesServer]:
    """A server that stops with the block."""
    made = KubernetesServer()
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await made.handle(reader, writer)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
