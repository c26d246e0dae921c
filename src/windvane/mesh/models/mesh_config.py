"""What of Istio's mesh configuration (`istio.mesh.v1alpha1.MeshConfig`) is acted on, and the objects that carry it.

A mesh's configuration has some sixty fields, and most of them are for a cluster. Those without a model are kept aside
(`passed_over`), so that findings can tell of them.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from windvane.mesh.models.base import Items, Labels, Model, Seconds, UInt32, json_name
from windvane.mesh.models.metadata import Resource


class _Open(Model):
    """A message of which only some fields are read here."""

    model_config = ConfigDict(extra="allow")

    @property
    def passed_over(self) -> tuple[str, ...]:
        """The names of fields that are given and not acted on."""
        return tuple(json_name(name) for name in self.model_extra or ())


class ExtAuthzRequestBody(Model):
    """How much of a request's body an external authorizer is shown."""

    max_request_bytes: UInt32 = 0
    allow_partial_message: bool = False
    pack_as_bytes: bool = False


class EnvoyExtAuthzHttp(Model):
    """An external authorizer that is asked over HTTP: status 200 allows."""

    service: str = ""
    port: UInt32 = 0
    timeout: Seconds | None = None
    path_prefix: str = ""
    fail_open: bool = False
    clear_route_cache: bool = False
    status_on_error: str = ""
    include_headers_in_check: Items[str] = ()
    include_request_headers_in_check: Items[str] = ()
    include_additional_headers_in_check: Labels = Field(default_factory=dict)
    include_request_body_in_check: ExtAuthzRequestBody | None = None
    headers_to_upstream_on_allow: Items[str] = ()
    headers_to_downstream_on_deny: Items[str] = ()
    headers_to_downstream_on_allow: Items[str] = ()


class EnvoyExtAuthzGrpc(Model):
    """An external authorizer that is asked over gRPC (`envoy.service.auth.v3.Authorization`)."""

    service: str = ""
    port: UInt32 = 0
    timeout: Seconds | None = None
    fail_open: bool = False
    clear_route_cache: bool = False
    status_on_error: str = ""
    include_request_body_in_check: ExtAuthzRequestBody | None = None


class ExtensionProvider(_Open):
    """A service that proxies call out to, by the name that policies and Telemetries use."""

    one_of = (("envoy_ext_authz_http", "envoy_ext_authz_grpc"),)

    name: str = ""
    envoy_ext_authz_http: EnvoyExtAuthzHttp | None = None
    envoy_ext_authz_grpc: EnvoyExtAuthzGrpc | None = None

    @property
    def authorizer(self) -> EnvoyExtAuthzHttp | EnvoyExtAuthzGrpc | None:
        """How it is asked for authorization; None where it is for something else."""
        return self.envoy_ext_authz_http or self.envoy_ext_authz_grpc


class MeshConfig(_Open):
    """What holds for the whole mesh."""

    extension_providers: Items[ExtensionProvider] = ()


class IstioOperatorSpec(_Open):
    """How Istio is installed: only the mesh's configuration has a meaning here."""

    mesh_config: MeshConfig | None = None


class IstioOperator(Resource):
    """install.istio.io IstioOperator."""

    kind: Literal["IstioOperator"] = "IstioOperator"
    spec: IstioOperatorSpec = Field(default_factory=IstioOperatorSpec)

    @property
    def mesh_config(self) -> MeshConfig | None:
        return self.spec.mesh_config


class ConfigMapData(_Open):
    """The mesh's configuration as YAML text, read (see `windvane.mesh.decode`), and other texts of Istio."""

    mesh: MeshConfig | None = None


class ConfigMap(Resource):
    """The ConfigMap `istio`, from which a cluster's control plane takes the mesh's configuration."""

    kind: Literal["ConfigMap"] = "ConfigMap"
    data: ConfigMapData = Field(default_factory=ConfigMapData)
    binary_data: Any = None
    immutable: bool = False

    @property
    def mesh_config(self) -> MeshConfig | None:
        return self.data.mesh
