"""Where targets come from: the `*_sd_configs` that Windvane supports, and `static_configs`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from windvane.ingest.scrape.client_config import ClientConfig, Url
from windvane.ingest.scrape.fields import (
    LIST,
    Duration,
    FileName,
    FileNames,
    Model,
    Natural,
    Switch,
    Text,
    TextMap,
    Texts,
)

_FILE_PATTERN = re.compile(r"^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$")

Role = Literal["node", "pod", "service", "endpoints", "endpointslice", "ingress"]
_SELECTABLE = {
    "pod": {"pod", "node"},
    "service": {"service"},
    "endpoints": {"endpoints", "service", "pod", "node"},
    "endpointslice": {"endpointslice", "service", "pod", "node"},
    "node": {"node"},
    "ingress": {"ingress"},
}


def _positive(seconds: float) -> float:
    if seconds <= 0:
        raise ValueError("must be greater than 0")
    return seconds


Interval = Annotated[Duration, AfterValidator(_positive)]


class StaticConfig(Model):
    """Targets written in the file, and labels for all of them."""

    targets: Texts = ()
    labels: TextMap = Field(default_factory=dict)


class FileDiscovery(Model):
    """Files (the last part of a path may hold `*`) of target groups in JSON or YAML."""

    files: FileNames
    refresh_interval: Interval = 300.0

    @model_validator(mode="after")
    def _paths(self) -> FileDiscovery:
        if not self.files:
            raise ValueError("file service discovery config must contain at least one path name")
        for name in self.files:
            if _FILE_PATTERN.match(name.rpartition("/")[2]) is None or "*" in name.rpartition("/")[0]:
                raise ValueError(f"path name {name!r} is not valid for file discovery")
        return self


class HttpDiscovery(ClientConfig):
    """A URL that answers target groups as JSON."""

    url: Url
    refresh_interval: Interval = 60.0

    @model_validator(mode="after")
    def _web(self) -> HttpDiscovery:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError("URL scheme must be 'http' or 'https'")
        return self


class DnsDiscovery(Model):
    """Names whose records are targets."""

    names: Texts
    type: Text = "SRV"
    port: Natural = 0
    refresh_interval: Interval = 30.0

    @model_validator(mode="after")
    def _consistent(self) -> DnsDiscovery:
        if not self.names:
            raise ValueError("DNS-SD config must contain at least one SRV record name")
        if self.type.upper() not in {"A", "AAAA", "SRV"}:
            raise ValueError(f"DNS-SD records of type {self.type} are not supported by Windvane")
        if self.type.upper() != "SRV" and not self.port:
            raise ValueError(f"a port is required in DNS-SD configs for record type {self.type}")
        return self


class Namespaces(Model):
    """Which namespaces are watched; none named: all, or Windvane's own."""

    own_namespace: Switch = False
    names: Texts = ()


class Selector(Model):
    """Which objects of a role are asked for."""

    role: Role
    label: Text = ""
    field: Text = ""


class AttachMetadata(Model):
    """Whether targets carry labels of their node and namespace."""

    node: Switch = False
    namespace: Switch = False


class KubernetesDiscovery(ClientConfig):
    """Objects of a Kubernetes API server."""

    role: Role
    api_server: Url = ""
    kubeconfig_file: FileName = ""
    namespaces: Namespaces = Namespaces()
    selectors: Annotated[tuple[Selector, ...], LIST] = ()
    attach_metadata: AttachMetadata = AttachMetadata()

    @model_validator(mode="after")
    def _consistent(self) -> KubernetesDiscovery:
        if self.api_server and self.kubeconfig_file:
            raise ValueError("cannot use 'kubeconfig_file' and 'api_server' simultaneously")
        custom = self.model_dump(include=set(ClientConfig.model_fields)) != ClientConfig().model_dump()
        if custom and self.kubeconfig_file:
            raise ValueError("cannot use a custom HTTP client configuration together with 'kubeconfig_file'")
        if custom and not self.api_server:
            raise ValueError("to use custom HTTP client configuration please provide the 'api_server' URL explicitly")
        roles = [selector.role for selector in self.selectors]
        for role in roles:
            if roles.count(role) > 1:
                raise ValueError(f"duplicated selector role: {role}")
            if role not in _SELECTABLE[self.role]:
                raise ValueError(
                    f"{self.role} role supports only {', '.join(sorted(_SELECTABLE[self.role]))} selectors"
                )
        return self


class Discoveries(Model):
    """The discovery part of a scrape configuration or of an Alertmanager configuration."""

    static_configs: Annotated[tuple[StaticConfig, ...], LIST] = ()
    file_sd_configs: Annotated[tuple[FileDiscovery, ...], LIST] = ()
    http_sd_configs: Annotated[tuple[HttpDiscovery, ...], LIST] = ()
    dns_sd_configs: Annotated[tuple[DnsDiscovery, ...], LIST] = ()
    kubernetes_sd_configs: Annotated[tuple[KubernetesDiscovery, ...], LIST] = ()
