"""RequestAuthentications as Envoy's JWT filter: a token must be right where there is one, none is needed."""

from __future__ import annotations

import base64
import hashlib
from functools import cache, lru_cache
from itertools import count

import orjson
from cryptography.hazmat.primitives.asymmetric import ec
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


@cache
def key_of_nobody() -> dict[str, str]:
    """A key (RFC 7517) that nothing is signed with: its point comes from a hash, so nobody knows the private part.

    Envoy refuses a whole listener over a key set without any key that it understands. With this one in it, tokens
    are refused and requests without one pass.
    """
    for number in count():
        start = hashlib.sha256(f"windvane: key of nobody {number}".encode()).digest()
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x02" + start).public_numbers()
        except ValueError:  # every second hash is no coordinate of the curve
            continue
        x, y = (base64.urlsafe_b64encode(part.to_bytes(32)).decode().rstrip("=") for part in (point.x, point.y))
        return {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "nobody", "x": x, "y": y}
    raise AssertionError("unreachable: count() does not end")


def key_set_with(*keys: dict[str, object]) -> str:
    """A key set of these keys that Envoy takes, whatever they are."""
    return orjson.dumps({"keys": [*keys, key_of_nobody()]}).decode()


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
        local_jwks=core.DataSource(inline_string=rule.jwks or key_set_with()),
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
