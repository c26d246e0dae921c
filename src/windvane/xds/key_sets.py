"""Key sets of RequestAuthentications without inline keys: fetched, kept fresh, and written into what proxies get.

As in Istio the control plane fetches, so that proxies need no way to the issuer. While a fetch fails the keys
fetched before stay in force; where there are none yet, tokens of that issuer are refused and everything else
works. Each URI is asked again after a pause that grows while it fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import httpx
import orjson

from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, LimitError, UnavailableError, WindvaneError
from windvane.mesh.checks.authorization import key_set_problems, uri_problems
from windvane.mesh.models import JWTRule, RequestAuthentication
from windvane.mesh.models.security import DISCOVERY
from windvane.mesh.view import MeshView
from windvane.xds.authentication import key_set_with

log = logging.getLogger(__name__)

REFRESH = 20 * 60.0
"""Seconds until keys that were fetched are fetched again: Istio's interval."""
_FIRST_RETRY = 1.0
_DEFAULT_TIMEOUT = 5.0
_LARGEST = 1024 * 1024
_REDIRECTS = 3


@dataclass(frozen=True, slots=True)
class KeySetStatus:
    """A URI: when its keys were last fetched (ns since the epoch, 0 for never), why the last try failed."""

    uri: str
    fetched_ns: int = 0
    failure: str = ""


@dataclass(slots=True)
class _Kept:
    status: KeySetStatus
    keys: str = ""


class KeySets:
    """Keys by URI. `changed` is called, in the loop, when any that are wanted came to be others."""

    def __init__(self, clock: Clock, changed: Callable[[], None]) -> None:
        self._clock, self._changed = clock, changed
        self._timeouts: Mapping[str, float] = {}
        self._kept: dict[str, _Kept] = {}
        self._other = asyncio.Event()

    def want(self, view: MeshView) -> None:
        """Follow exactly the URIs that a view names."""
        wanted: dict[str, float] = {}
        for rule in _rules_with_uri(view):
            seconds = _DEFAULT_TIMEOUT if rule.timeout is None else rule.timeout
            wanted[rule.keys_uri] = max(seconds, wanted.get(rule.keys_uri, 0.0))
        if wanted != self._timeouts:
            self._timeouts = wanted
            self._kept = {uri: self._kept.get(uri) or _Kept(KeySetStatus(uri)) for uri in wanted}
            self._other.set()

    def filled(self, view: MeshView) -> MeshView:
        """The view with the keys that are known written into its rules."""
        if not any(True for _ in _rules_with_uri(view)):
            return view
        return replace(view, request_authentications=tuple(map(self._filled, view.request_authentications)))

    def statuses(self) -> list[KeySetStatus]:
        """Every URI that is followed, in order."""
        return [kept.status for _, kept in sorted(self._kept.items())]

    async def run(self) -> None:
        """Fetch and refresh until cancelled."""
        following: dict[str, asyncio.Task[None]] = {}
        limits = httpx.Limits(max_connections=8, max_keepalive_connections=0)
        async with httpx.AsyncClient(
            # The system's trust store; SSL_CERT_FILE and SSL_CERT_DIR name another.
            verify=ssl.create_default_context(), limits=limits, follow_redirects=True, max_redirects=_REDIRECTS
        ) as client:  # fmt: skip
            try:
                while True:
                    for uri in following.keys() - self._timeouts.keys():
                        following.pop(uri).cancel()
                    for uri in self._timeouts.keys() - following.keys():
                        following[uri] = asyncio.create_task(self._follow(client, uri))
                    await self._other.wait()
                    self._other.clear()
            finally:
                for task in following.values():
                    task.cancel()
                await asyncio.gather(*following.values(), return_exceptions=True)

    def _filled(self, item: RequestAuthentication) -> RequestAuthentication:
        known = {uri: kept.keys for uri, kept in self._kept.items()}
        rules = tuple(
            rule if rule.jwks else rule.model_copy(update={"jwks": known.get(rule.keys_uri, "")})
            for rule in item.spec.jwt_rules
        )
        return item.model_copy(update={"spec": item.spec.model_copy(update={"jwt_rules": rules})})

    async def _follow(self, client: httpx.AsyncClient, uri: str) -> None:
        pause = _FIRST_RETRY
        while True:
            if await self._refresh(client, uri):
                pause = _FIRST_RETRY
                await self._clock.sleep(REFRESH)
            else:
                await self._clock.sleep(pause)
                pause = min(2 * pause, REFRESH)

    async def _refresh(self, client: httpx.AsyncClient, uri: str) -> bool:
        try:
            keys = await fetch(client, uri, self._timeouts.get(uri, _DEFAULT_TIMEOUT))
        except WindvaneError as error:
            self._failed(uri, error.message)
            return False
        kept = self._kept.get(uri)
        if kept is not None:
            kept.status = KeySetStatus(uri, self._clock.now_ns())
            if keys != kept.keys:
                kept.keys = keys
                self._changed()
        return True

    def _failed(self, uri: str, reason: str) -> None:
        kept = self._kept.get(uri)
        if kept is not None:
            if kept.status.failure != reason:
                log.warning("keys of %s: %s", uri, reason)
            kept.status = replace(kept.status, failure=reason)


async def fetch(client: httpx.AsyncClient, uri: str, seconds: float) -> str:
    """The key set (RFC 7517) at a URI, at most a MiB of it and within `seconds`, as Envoy takes it.

    A discovery document leads to the URI that it names. `UnavailableError` when keys cannot be had, `LimitError`
    when something is too large, `BadInputError` when it is not what it should be.
    """
    try:
        async with asyncio.timeout(seconds):
            if uri.endswith(DISCOVERY):
                uri = _named_keys(await _text(client, uri))
            text = await _text(client, uri)
    except TimeoutError:
        raise UnavailableError(f"no answer within {seconds:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise UnavailableError(f"{type(error).__name__}: {error}") from error
    with contextlib.suppress(StopIteration):
        raise BadInputError(next(key_set_problems(text)))
    return key_set_with(*orjson.loads(text)["keys"])


def _named_keys(document: str) -> str:
    """The URI of the keys in a discovery document."""
    try:
        value = orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise BadInputError(f"the discovery document is not JSON: {error}") from error
    uri = value.get("jwks_uri") if isinstance(value, dict) else None
    if not isinstance(uri, str):
        raise BadInputError("the discovery document has no jwks_uri")
    with contextlib.suppress(StopIteration):
        raise BadInputError(f"the discovery document's jwks_uri: {next(uri_problems(uri))}")
    return uri


async def _text(client: httpx.AsyncClient, uri: str) -> str:
    body = bytearray()
    async with client.stream("GET", uri, timeout=None) as answer:
        if answer.status_code != httpx.codes.OK:
            raise UnavailableError(f"answered with status {answer.status_code}")
        if uri.startswith("https:") and answer.url.scheme != "https":
            raise UnavailableError(f"redirects to {answer.url}, which is not https")
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > _LARGEST:
                raise LimitError(f"has more than {_LARGEST} bytes")
    return body.decode(errors="replace")


def _rules_with_uri(view: MeshView) -> list[JWTRule]:
    rules = (rule for item in view.request_authentications for rule in item.spec.jwt_rules)
    return [rule for rule in rules if rule.keys_uri]
