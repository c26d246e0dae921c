"""RequestAuthentications as Envoy's JWT filter: a token must be right where there is one, none is needed."""

from __future__ import annotations

from functools import lru_cache

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.route.v3 import RouteMatch
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn import v3 as jwt
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.google.protobuf import Empty

from windvane.mesh.models import JWTRule
from windvane.xds.encoding import any_of

JWT_FILTER = "envoy.filters.http.jwt_authn"
PAYLOAD = "payload"
"""The key under which the claims of a checked token stand in the filter's metadata."""


@lru_cache(maxsize=4096)
def http_filters(rules: tuple[JWTRule, ...]) -> tuple[HttpFilter, ...]:
    """The filter of these rules; none where there are no rules."""
    if not rules:
        return ()
    names = [f"origins-{index}" for index in range(len(rules))]
    accepted = [jwt.JwtRequirement(provider_name=name) for name in names]
    accepted.append(jwt.JwtRequirement(allow_missing=Empty()))
    config = jwt.JwtAuthentication(
        providers=dict(zip(names, map(_provider, rules), strict=True)),
        rules=[
            jwt.RequirementRule(
                match=RouteMatch(prefix="/"),
                requires=jwt.JwtRequirement(requires_any=jwt.JwtRequirementOrList(requirements=accepted)),
            )
        ],
        bypass_cors_preflight=True,
    )
    return (HttpFilter(name=JWT_FILTER, typed_config=any_of(config)),)


def _provider(rule: JWTRule) -> jwt.JwtProvider:
    return jwt.JwtProvider(
        issuer=rule.issuer,
        audiences=list(rule.audiences),
        local_jwks=core.DataSource(inline_string=rule.jwks),
        forward=rule.forward_original_token,
        from_headers=[jwt.JwtHeader(name=each.name, value_prefix=each.prefix) for each in rule.from_headers],
        from_params=list(rule.from_params),
        from_cookies=list(rule.from_cookies),
        forward_payload_header=rule.output_payload_to_header,
        payload_in_metadata=PAYLOAD,
        normalize_payload_in_metadata=jwt.JwtProviderNormalizePayload(space_delimited_claims=["scope", "permission"]),
        claim_to_headers=[
            jwt.JwtClaimToHeader(header_name=each.header, claim_name=each.claim)
            for each in rule.output_claim_to_headers
        ],
    )
