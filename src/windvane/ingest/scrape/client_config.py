"""How an HTTP client of a configuration talks: credentials, TLS, proxies, redirects."""

from __future__ import annotations

import ssl
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from windvane.ingest.scrape.fields import FileName, FileNames, Model, Switch, Text, TextMap, Texts

_TLS_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}


def _tls_version(name: str) -> str:
    if name and name not in _TLS_VERSIONS:
        raise ValueError(f"unknown TLS version: {name!r} (known: {', '.join(_TLS_VERSIONS)})")
    return name


def _url(text: str) -> str:
    if text and not urlsplit(text).scheme:
        raise ValueError(f"not a URL: {text!r}")
    return text


def _values(value: Any) -> Any:
    if not isinstance(value, dict):
        return {} if value is None else value
    return {name: (one,) if isinstance(one, str) else one for name, one in value.items()}


TlsVersion = Annotated[Text, AfterValidator(_tls_version)]
Url = Annotated[Text, AfterValidator(_url)]
Values = Annotated[dict[Text, Texts], BeforeValidator(_values)]
"""Names with several values each, as in a URL's query."""


class TlsConfig(Model):
    """Certificates in line or in files, and what is demanded of the server."""

    ca: Text = ""
    cert: Text = ""
    key: Text = ""
    ca_file: FileName = ""
    cert_file: FileName = ""
    key_file: FileName = ""
    server_name: Text = ""
    insecure_skip_verify: Switch = False
    min_version: TlsVersion = ""
    max_version: TlsVersion = ""

    @model_validator(mode="after")
    def _consistent(self) -> TlsConfig:
        for name in ("ca", "cert", "key"):
            if getattr(self, name) and getattr(self, f"{name}_file"):
                raise ValueError(f"at most one of {name} and {name}_file must be configured")
        cert, key = self.cert or self.cert_file, self.key or self.key_file
        if cert and not key:
            raise ValueError(
                "exactly one of key or key_file must be configured when a client certificate is configured"
            )
        if key and not cert:
            raise ValueError("exactly one of cert or cert_file must be configured when a client key is configured")
        return self

    def versions(self) -> tuple[ssl.TLSVersion, ssl.TLSVersion | None]:
        """The lowest and the highest TLS version; TLS 1.2 is the lowest by default."""
        low = _TLS_VERSIONS[self.min_version or "TLS12"]
        return low, _TLS_VERSIONS[self.max_version] if self.max_version else None


class BasicAuth(Model):
    """User and password, in line or in files."""

    username: Text = ""
    username_file: FileName = ""
    password: Text = ""
    password_file: FileName = ""

    @model_validator(mode="after")
    def _consistent(self) -> BasicAuth:
        for name in ("username", "password"):
            if getattr(self, name) and getattr(self, f"{name}_file"):
                raise ValueError(f"at most one of basic_auth {name} & {name}_file must be configured")
        return self


class Authorization(Model):
    """The header Authorization: a type and credentials."""

    type: Text = "Bearer"
    credentials: Text = ""
    credentials_file: FileName = ""

    @model_validator(mode="after")
    def _consistent(self) -> Authorization:
        if self.credentials and self.credentials_file:
            raise ValueError("at most one of authorization credentials & credentials_file must be configured")
        if self.type.strip().lower() == "basic":
            raise ValueError('authorization type cannot be set to "basic", use "basic_auth" instead')
        return self


class ProxyConfig(Model):
    """Through which proxy requests go."""

    proxy_url: Url = ""
    no_proxy: Text = ""
    proxy_from_environment: Switch = False
    proxy_connect_header: Values = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_proxy(self) -> ProxyConfig:
        if self.proxy_from_environment and (self.proxy_url or self.no_proxy):
            raise ValueError("if proxy_from_environment is configured, proxy_url and no_proxy must not be configured")
        if self.no_proxy and not self.proxy_url:
            raise ValueError("if no_proxy is configured, proxy_url must also be configured")
        return self


class OAuth2(ProxyConfig):
    """Client credentials of OAuth 2.0."""

    client_id: Text = ""
    client_secret: Text = ""
    client_secret_file: FileName = ""
    scopes: Texts = ()
    token_url: Url = ""
    endpoint_params: TextMap = Field(default_factory=dict)
    tls_config: TlsConfig = TlsConfig()

    @model_validator(mode="after")
    def _consistent(self) -> OAuth2:
        if not self.client_id or not self.token_url:
            raise ValueError("oauth2 client_id and token_url must be configured")
        if bool(self.client_secret) == bool(self.client_secret_file):
            raise ValueError("exactly one of oauth2 client_secret & client_secret_file must be configured")
        return self


class Header(Model):
    """Values of a request header: in line, secret, or from files."""

    values: Texts = ()
    secrets: Texts = ()
    files: FileNames = ()


class ClientConfig(ProxyConfig):
    """Everything about an HTTP client."""

    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    oauth2: OAuth2 | None = None
    bearer_token: Text = ""
    bearer_token_file: FileName = ""
    tls_config: TlsConfig = TlsConfig()
    follow_redirects: Switch = True
    enable_http2: Switch = True
    http_headers: dict[Text, Header] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_credential(self) -> ClientConfig:
        if self.bearer_token and self.bearer_token_file:
            raise ValueError("at most one of bearer_token & bearer_token_file must be configured")
        bearer = self.bearer_token or self.bearer_token_file
        if bool(bearer) + sum(one is not None for one in (self.basic_auth, self.authorization, self.oauth2)) > 1:
            raise ValueError("at most one of basic_auth, oauth2, authorization and bearer_token may be configured")
        return self

    def authorizing(self) -> Authorization | None:
        """The Authorization header wanted, however it is written in the file."""
        if self.bearer_token or self.bearer_token_file:
            return Authorization(credentials=self.bearer_token, credentials_file=self.bearer_token_file)
        return self.authorization
