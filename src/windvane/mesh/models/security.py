"""security.istio.io: the transport security a workload accepts, the tokens, and who may do what."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from windvane.mesh.models.base import Items, LabelSelector, Model, Seconds, Targetable
from windvane.mesh.models.metadata import Resource

MTLSMode = Literal["UNSET", "DISABLE", "PERMISSIVE", "STRICT"]


class MutualTLS(Model):
    """What a port accepts: only mTLS, only plaintext, or both."""

    mode: MTLSMode = "UNSET"


def _port_number(value: object) -> object:
    """Port keys may be written as YAML integers; the map's own keys are strings of digits."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class PeerAuthenticationSpec(Model):
    """A mode for the selected workloads, and for single ports of theirs."""

    selector: LabelSelector | None = None
    mtls: MutualTLS | None = None
    port_level_mtls: dict[Annotated[int, BeforeValidator(_port_number)], MutualTLS] = Field(default_factory=dict)


class PeerAuthentication(Resource):
    """security.istio.io PeerAuthentication."""

    kind: Literal["PeerAuthentication"] = "PeerAuthentication"
    spec: PeerAuthenticationSpec = Field(default_factory=PeerAuthenticationSpec)


class Source(Model):
    """Who asks: every list that is given must have a value that matches; of a `not_…` list none may."""

    principals: Items[str] = ()
    not_principals: Items[str] = ()
    request_principals: Items[str] = ()
    not_request_principals: Items[str] = ()
    namespaces: Items[str] = ()
    not_namespaces: Items[str] = ()
    service_accounts: Items[str] = ()
    not_service_accounts: Items[str] = ()
    ip_blocks: Items[str] = ()
    not_ip_blocks: Items[str] = ()
    remote_ip_blocks: Items[str] = ()
    not_remote_ip_blocks: Items[str] = ()


class Operation(Model):
    """What is asked; lists as in `Source`."""

    hosts: Items[str] = ()
    not_hosts: Items[str] = ()
    ports: Items[str] = ()
    not_ports: Items[str] = ()
    methods: Items[str] = ()
    not_methods: Items[str] = ()
    paths: Items[str] = ()
    not_paths: Items[str] = ()


class RuleFrom(Model):
    """One of a rule's sources."""

    source: Source | None = None


class RuleTo(Model):
    """One of a rule's operations."""

    operation: Operation | None = None


class Condition(Model):
    """What an attribute of the request must be."""

    key: str = ""
    values: Items[str] = ()
    not_values: Items[str] = ()


class Rule(Model):
    """Matches a request that one of `from`, one of `to` and all of `when` match; what is absent matches all."""

    from_: Items[RuleFrom] = Field(default=(), alias="from")
    to: Items[RuleTo] = ()
    when: Items[Condition] = ()


class ExtensionProviderRef(Model):
    """An authorizer of the mesh's configuration, by name."""

    name: str = ""


AuthorizationAction = Literal["ALLOW", "DENY", "AUDIT", "CUSTOM"]


class AuthorizationPolicySpec(Targetable):
    """What happens to requests of the selected workloads that a rule matches."""

    rules: Items[Rule] = ()
    action: AuthorizationAction = "ALLOW"
    provider: ExtensionProviderRef | None = None


class AuthorizationPolicy(Resource):
    """security.istio.io AuthorizationPolicy."""

    kind: Literal["AuthorizationPolicy"] = "AuthorizationPolicy"
    spec: AuthorizationPolicySpec = Field(default_factory=AuthorizationPolicySpec)

    @property
    def is_dry_run(self) -> bool:
        """Whether it only tells what it would do."""
        return self.annotations.get("istio.io/dry-run") == "true"


class JWTHeader(Model):
    """A header that carries a token after a prefix."""

    name: str = ""
    prefix: str = ""


class ClaimToHeader(Model):
    """A claim that the application is told in a header."""

    header: str = ""
    claim: str = ""


DISCOVERY = "/.well-known/openid-configuration"
"""Below an issuer's URI: the document that says where its keys are (OpenID Connect Discovery 1.0, section 4)."""


class JWTRule(Model):
    """How tokens of an issuer are checked, and what of them goes on."""

    issuer: str = ""
    audiences: Items[str] = ()
    jwks_uri: str = ""
    jwks: str = ""
    from_headers: Items[JWTHeader] = ()
    from_params: Items[str] = ()
    from_cookies: Items[str] = ()
    output_payload_to_header: str = ""
    forward_original_token: bool = False
    output_claim_to_headers: Items[ClaimToHeader] = ()
    timeout: Seconds | None = None

    @property
    def keys_uri(self) -> str:
        """Where its keys are fetched: `jwksUri`, else the issuer's discovery document; "" where they are inline."""
        return "" if self.jwks else self.jwks_uri or self.issuer.rstrip("/") + DISCOVERY


class RequestAuthenticationSpec(Targetable):
    """Tokens that the selected workloads accept; a request without any passes."""

    jwt_rules: Items[JWTRule] = ()


class RequestAuthentication(Resource):
    """security.istio.io RequestAuthentication."""

    kind: Literal["RequestAuthentication"] = "RequestAuthentication"
    spec: RequestAuthenticationSpec = Field(default_factory=RequestAuthenticationSpec)
