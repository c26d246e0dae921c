"""extensions.istio.io `WasmPlugin`: filters that are WebAssembly modules."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from windvane.mesh.models.base import Int32, Items, Model, PortSelector, Targetable
from windvane.mesh.models.metadata import Resource

PluginPhase = Literal["UNSPECIFIED_PHASE", "AUTHN", "AUTHZ", "STATS"]
FILE = "file"


class EnvVar(Model):
    """A variable of the module's environment: its value, or that of the proxy's own."""

    name: str = ""
    value_from: Literal["INLINE", "HOST"] = "INLINE"
    value: str = ""


class VmConfig(Model):
    """How the module is run."""

    env: Items[EnvVar] = ()


class TrafficSelector(Model):
    """The side of a proxy, and the ports, that a module is for."""

    mode: Literal["UNDEFINED", "CLIENT", "SERVER", "CLIENT_AND_SERVER"] = "UNDEFINED"
    ports: Items[PortSelector] = ()


class WasmPluginSpec(Targetable):
    """A module, what it is told, and where in the order of filters it stands."""

    url: str = ""
    sha256: str = ""
    image_pull_policy: Literal["UNSPECIFIED_POLICY", "IfNotPresent", "Always"] = "UNSPECIFIED_POLICY"
    image_pull_secret: str = ""
    verification_key: str = ""
    plugin_config: dict[str, Any] = Field(default_factory=dict)
    plugin_name: str = ""
    fail_strategy: Literal["FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD"] = "FAIL_CLOSE"
    phase: PluginPhase = "UNSPECIFIED_PHASE"
    priority: Int32 | None = None
    vm_config: VmConfig | None = None
    match: Items[TrafficSelector] = ()
    type: Literal["UNSPECIFIED_PLUGIN_TYPE", "HTTP", "NETWORK"] = "UNSPECIFIED_PLUGIN_TYPE"

    @property
    def scheme(self) -> str:
        """Of the URL; a URL without one is of an OCI image, as in Istio."""
        scheme, separator, _ = self.url.partition("://")
        return scheme if separator else "oci"

    @property
    def file(self) -> str:
        """The path of the module on the proxy's machine; "" where it has to be fetched."""
        return self.url.removeprefix("file://") if self.scheme == FILE else ""


class WasmPlugin(Resource):
    """extensions.istio.io WasmPlugin."""

    kind: Literal["WasmPlugin"] = "WasmPlugin"
    spec: WasmPluginSpec = Field(default_factory=WasmPluginSpec)
