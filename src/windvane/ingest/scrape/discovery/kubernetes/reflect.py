"""A copy of one collection of an API server: listed once, then watched from that version on.

A watch ends now and then and goes on from the last version seen (bookmarks move it). When the server has
forgotten that version (410 Gone), everything is listed anew.
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson

from windvane.ingest.scrape.client import FetchError, HttpClient, explain
from windvane.kit.clock import Clock

_log = logging.getLogger(__name__)
_PAGE = 500
_WATCH_SECONDS = 300
_LIST_TIMEOUT = 60.0
_MOST_BACKOFF = 30.0

Object = dict[str, Any]
Changed = Callable[[str], None]


class _GoneError(Exception):
    """The server does not know the version any more."""


def key_of(thing: Mapping[str, Any]) -> str:
    """`namespace/name`, or `name` of what has no namespace."""
    metadata = thing.get("metadata") or {}
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata.get('name', '')}" if namespace else str(metadata.get("name", ""))


class Reflector:
    """Keeps `objects` (by `namespace/name`) like a collection of the server; `changed` is told each key."""

    def __init__(
        self, client: HttpClient, url: str, selectors: Mapping[str, str], changed: Changed, clock: Clock
    ) -> None:
        self._client = client
        self._url = url
        self._selectors = {name: value for name, value in selectors.items() if value}
        self._changed = changed
        self._clock = clock
        self.objects: dict[str, Object] = {}
        self.listed = False

    async def run(self) -> None:
        """List and watch until cancelled; a server that does not answer is asked again, ever more rarely."""
        version, backoff = "", 1.0
        while True:
            try:
                version = version or await self._list()
                backoff = 1.0
                version = await self._watch(version)
            except _GoneError:
                version = ""
            except (FetchError, httpx.HTTPError, ValueError) as error:
                said = explain(error, self._url) if isinstance(error, httpx.HTTPError) else str(error)
                _log.warning("kubernetes: %s: %s", self._url, said)
                await self._clock.sleep(backoff)
                backoff = min(backoff * 2, _MOST_BACKOFF)

    async def _list(self) -> str:
        """Replace all objects by what the server has; the version of that."""
        found: dict[str, Object] = {}
        query: dict[str, object] = {**self._selectors, "limit": _PAGE}
        while True:
            answer = await self._client.get(
                f"{self._url}?{urlencode(query)}", headers={"Accept": "application/json"}, timeout=_LIST_TIMEOUT
            )
            if answer.status == 410:
                raise _GoneError
            answer.require_ok()
            page = orjson.loads(answer.body)
            if not isinstance(page, dict):
                raise ValueError("the answer is no list of objects")
            for item in page.get("items") or []:
                found[key_of(item)] = _trimmed(item)
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                break
            query["continue"] = metadata["continue"]
        before, self.objects = self.objects, found
        self.listed = True
        for key in before.keys() | found.keys():
            if before.get(key) != found.get(key):
                self._changed(key)
        self._changed("")
        return str(metadata.get("resourceVersion", ""))

    async def _watch(self, version: str) -> str:
        """Follow changes until the server ends the stream; the last version seen."""
        query = {
            **self._selectors,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": _WATCH_SECONDS,
        }
        headers = {**await self._client.authorization(), "Accept": "application/json"}
        async with self._client.stream(f"{self._url}?{urlencode(query)}", headers, _WATCH_SECONDS + 30.0) as response:
            if response.status_code == 410:
                raise _GoneError
            if response.status_code != 200:
                raise FetchError(f"server returned HTTP status {response.status_code} {response.reason_phrase}")
            async for line in response.aiter_lines():
                if line.strip():
                    version = self._event(orjson.loads(line)) or version
        return version

    def _event(self, event: Mapping[str, Any]) -> str:
        """Take one change in; its version."""
        kind, thing = event.get("type"), event.get("object") or {}
        if kind == "ERROR":
            if thing.get("code") == 410:
                raise _GoneError
            raise FetchError(f"watch failed: {thing.get('message', 'unknown error')}")
        if kind != "BOOKMARK":
            key = key_of(thing)
            if kind == "DELETED":
                self.objects.pop(key, None)
            else:
                self.objects[key] = _trimmed(thing)
            self._changed(key)
        return str((thing.get("metadata") or {}).get("resourceVersion", ""))


def _trimmed(thing: Object) -> Object:
    """Without what nobody reads and what changes all the time."""
    metadata = thing.get("metadata")
    if isinstance(metadata, dict):
        metadata.pop("managedFields", None)
    return thing
