"""HTTP towards targets, discovery endpoints and token servers, as a `ClientConfig` wants it.

Files of credentials and certificates are read anew when they change. Errors say what Go's client
would: `dial tcp …: connect: connection refused`, `context deadline exceeded`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import ssl
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from windvane import __version__
from windvane.ingest.scrape.client_config import Authorization, ClientConfig, OAuth2, ProxyConfig, TlsConfig
from windvane.kit.errors import UnavailableError

_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=300)
_AGENT = f"Windvane/{__version__}"
_TOKEN_SPARE = 30.0


class FetchError(UnavailableError):
    """A request that got no usable answer, in the words of Prometheus."""


class BodyTooLargeError(FetchError):
    """The body is larger than it may be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: only status 200 counts as an answer to a scrape."""

    status: int
    reason: str
    headers: httpx.Headers
    body: bytes

    def require_ok(self) -> None:
        """`FetchError` unless the status is 200."""
        if self.status != 200:
            raise FetchError(f"server returned HTTP status {self.status} {self.reason}".rstrip())


class HttpClient:
    """Requests of one configuration over connections that stay open."""

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._client: httpx.AsyncClient | None = None
        self._seen: tuple[object, ...] = ()
        self._secrets: dict[str, tuple[object, str]] = {}
        self._token = _Token(config.oauth2) if config.oauth2 else None

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float,  # noqa: ASYNC109 - covers credentials, redirects and the body alike
        body_limit: int = 0,
        compressed: bool = True,
    ) -> Answer:
        """One GET; `FetchError` when there is no answer within `timeout` seconds."""
        sent = {"User-Agent": _AGENT, "Accept-Encoding": "gzip" if compressed else "identity", **(headers or {})}
        try:
            async with asyncio.timeout(timeout):
                await self._authorize(sent)
                return await self._fetch(self._ready(), url, sent, body_limit)
        except TimeoutError:
            raise FetchError(f'Get "{url}": context deadline exceeded') from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FetchError(f'Get "{url}": {explain(error, url)}') from None
        except OSError as error:
            raise FetchError(f"{error.filename or url}: {error.strerror or error}") from None

    async def _fetch(self, client: httpx.AsyncClient, url: str, headers: Mapping[str, str], limit: int) -> Answer:
        name = self._config.tls_config.server_name
        extensions = {"sni_hostname": name} if name else {}
        if not limit:
            whole = await client.get(url, headers=headers, extensions=extensions)
            return Answer(whole.status_code, whole.reason_phrase, whole.headers, whole.content)
        body = bytearray()
        async with client.stream("GET", url, headers=headers, extensions=extensions) as response:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > limit:
                    raise BodyTooLargeError("body size limit exceeded")
        return Answer(response.status_code, response.reason_phrase, response.headers, bytes(body))

    def stream(self, url: str, headers: Mapping[str, str], read_timeout: float) -> Any:
        """An open GET whose body goes on: an async context manager of `httpx.Response`."""
        timeout = httpx.Timeout(10.0, read=read_timeout)
        return self._ready().stream("GET", url, headers=headers, timeout=timeout)

    async def send(self, request: httpx.Request, *, timeout: float) -> httpx.Response:  # noqa: ASYNC109
        """A request made elsewhere, with the credentials, certificates and proxies of this configuration."""
        async with asyncio.timeout(timeout):
            headers = await self.authorization()
            request.headers.update(headers)
            answer = await self._ready().send(request)
        return httpx.Response(answer.status_code, headers=_plain(answer.headers), content=answer.content)

    async def authorization(self) -> dict[str, str]:
        """Headers of the credentials, for `stream`."""
        headers = {"User-Agent": _AGENT}
        await self._authorize(headers)
        return headers

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None
        if self._token is not None:
            await self._token.close()

    def _ready(self) -> httpx.AsyncClient:
        """The client; a new one when a file of its certificates has changed."""
        seen = tuple(map(_stamp, _files(self._config.tls_config)))
        if self._client is None or seen != self._seen:
            self._client = self._made()
            self._seen = seen
        return self._client

    def _made(self) -> httpx.AsyncClient:
        config = self._config
        common: dict[str, Any] = {
            "follow_redirects": config.follow_redirects,
            "timeout": None,  # the whole request has a limit of its own
            "trust_env": config.proxy_from_environment,
        }
        if not config.proxy_url and not config.proxy_from_environment:
            plain = httpx.AsyncHTTPTransport(verify=False, limits=_LIMITS)
            return httpx.AsyncClient(transport=plain, mounts={"https://": _Secure(config)}, **common)
        proxy, mounts = _proxy(config)
        secure: dict[str, Any] = {"verify": context(config.tls_config), "http2": config.enable_http2, "limits": _LIMITS}
        return httpx.AsyncClient(proxy=proxy, mounts=mounts, **secure, **common)

    async def _authorize(self, headers: dict[str, str]) -> None:
        config = self._config
        if config.basic_auth is not None:
            user = config.basic_auth.username or self._secret(config.basic_auth.username_file)
            password = config.basic_auth.password or self._secret(config.basic_auth.password_file)
            headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        elif (wanted := config.authorizing()) is not None:
            self._bearer(wanted, headers)
        elif self._token is not None:
            headers["Authorization"] = await self._token.header(self._secret)
        for name, header in config.http_headers.items():
            values = [*header.values, *header.secrets, *map(self._secret, header.files)]
            headers[name] = ", ".join(values)

    def _bearer(self, wanted: Authorization, headers: dict[str, str]) -> None:
        secret = wanted.credentials or self._secret(wanted.credentials_file)
        if secret:
            headers["Authorization"] = f"{wanted.type} {secret}"

    def _secret(self, file: str) -> str:
        """The content of a file of credentials, read again when it changes."""
        if not file:
            return ""
        stamp, known = _stamp(file), self._secrets.get(file)
        if known is None or stamp is None or known[0] != stamp:
            try:
                known = (stamp, Path(file).read_text(encoding="utf-8").strip())
            except OSError as error:
                raise FetchError(f"unable to read file {file}: {error.strerror}") from None
            self._secrets[file] = known
        return known[1]


def _plain(headers: httpx.Headers) -> dict[str, str]:
    """Headers of a body that is decoded already."""
    return {name: value for name, value in headers.items() if name not in {"content-encoding", "content-length"}}


class _Secure(httpx.AsyncBaseTransport):
    """HTTPS; certificates are read once somebody needs them, which takes long and most targets do not."""

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._made: httpx.AsyncHTTPTransport | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._made is None:
            secure = await asyncio.to_thread(context, self._config.tls_config)
            made = httpx.AsyncHTTPTransport(verify=secure, http2=self._config.enable_http2, limits=_LIMITS)
            self._made = self._made or made
        return await self._made.handle_async_request(request)

    async def aclose(self) -> None:
        if self._made is not None:
            await self._made.aclose()


class _Token:
    """An access token of OAuth 2.0 client credentials, asked for again before it expires."""

    def __init__(self, config: OAuth2) -> None:
        self._config = config
        self._value, self._until = "", 0.0
        self._lock = asyncio.Lock()
        self._client: httpx.AsyncClient | None = None

    async def header(self, secret: Any) -> str:
        async with self._lock:
            if not self._value or time.monotonic() >= self._until:
                await self._ask(self._config.client_secret or secret(self._config.client_secret_file))
            return f"Bearer {self._value}"

    async def _ask(self, secret: str) -> None:
        config = self._config
        if self._client is None:
            proxy, mounts = _proxy(config)
            self._client = httpx.AsyncClient(
                verify=context(config.tls_config), proxy=proxy, mounts=mounts, trust_env=config.proxy_from_environment
            )
        form = {"grant_type": "client_credentials", **config.endpoint_params}
        if config.scopes:
            form["scope"] = " ".join(config.scopes)
        answer = await self._client.post(config.token_url, data=form, auth=(config.client_id, secret))
        try:
            token = answer.json() if answer.status_code == 200 else {}
            self._value = str(token["access_token"])
        except (ValueError, KeyError, TypeError):
            message = f"oauth2: cannot fetch token: {answer.status_code} {answer.reason_phrase}"
            raise FetchError(message) from None
        self._until = time.monotonic() + float(token.get("expires_in", 3600)) - _TOKEN_SPARE

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()


def explain(error: Exception, url: str) -> str:
    """What went wrong with a connection, as Go's client words it."""
    address = urlsplit(url).netloc.rpartition("@")[2]
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"tls: failed to verify certificate: {cause.verify_message}"
        if isinstance(cause, ConnectionRefusedError) or "All connection attempts failed" in str(cause):
            return f"dial tcp {address}: connect: connection refused"
        if type(cause).__name__ == "gaierror":
            return f"dial tcp: lookup {urlsplit(url).hostname}: no such host"
    if isinstance(error, httpx.TooManyRedirects):
        return "stopped after 10 redirects"
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        return "EOF" if not str(error) or "without sending" in str(error) else str(error)
    return str(error) or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


@lru_cache(maxsize=1)
def _default_context() -> ssl.SSLContext:
    return ssl.create_default_context()


def context(config: TlsConfig) -> ssl.SSLContext:
    """The TLS context of a configuration. `FetchError` when its certificates cannot be read."""
    if config == TlsConfig():
        return _default_context()
    try:
        made = ssl.create_default_context(cafile=config.ca_file or None, cadata=config.ca or None)
        if config.insecure_skip_verify:
            made.check_hostname = False
            made.verify_mode = ssl.CERT_NONE
        low, high = config.versions()
        made.minimum_version = low
        if high is not None:
            made.maximum_version = high
        if config.cert or config.cert_file:
            _load_certificate(made, config)
    except OSError as error:
        files = [file for file in _files(config) if not Path(file).exists()]
        raise FetchError(f"unable to use TLS configuration ({', '.join(files) or error})") from None
    return made


def _load_certificate(made: ssl.SSLContext, config: TlsConfig) -> None:
    with contextlib.ExitStack() as stack:
        names = []
        for text, file in ((config.cert, config.cert_file), (config.key, config.key_file)):
            if text:  # the library reads files only
                holder = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".pem"))
                holder.write(text)
                holder.flush()
                names.append(holder.name)
            else:
                names.append(file)
        made.load_cert_chain(*names)


def _files(config: TlsConfig) -> list[str]:
    return [file for file in (config.ca_file, config.cert_file, config.key_file) if file]


def _stamp(file: str) -> tuple[int, int] | None:
    try:
        status = os.stat(file)  # noqa: PTH116 - asked before every request
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _proxy(config: ProxyConfig) -> tuple[httpx.Proxy | None, dict[str, httpx.AsyncBaseTransport | None] | None]:
    if not config.proxy_url:
        return None, None
    headers = {name: ", ".join(values) for name, values in config.proxy_connect_header.items()}
    direct: dict[str, httpx.AsyncBaseTransport | None] = {}
    for host in filter(None, map(str.strip, config.no_proxy.split(","))):
        direct["all://" + (f"*{host}" if host.startswith(".") else host)] = None
    return httpx.Proxy(config.proxy_url, headers=headers), direct or None
