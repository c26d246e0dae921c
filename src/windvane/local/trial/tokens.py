"""Tokens for trying RequestAuthentications: signed by a key of ours, which every rule is made to trust."""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from typing import Any

import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from windvane.kit.errors import BadInputError
from windvane.mesh.view import MeshView

_KEY_ID = "windvane-try"
_LIFETIME = 3_600


def parse_claims(text: str) -> dict[str, Any]:
    """The claims of `--jwt`, a JSON object; `BadInputError` when they are none."""
    try:
        claims = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadInputError(f"--jwt: not JSON: {error}") from None
    if not isinstance(claims, dict):
        raise BadInputError('--jwt: expected a JSON object of claims, such as \'{"sub": "alice"}\'')
    return claims


class Issuer:
    """Signs tokens with a key of its own (RFC 7519, RS256)."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)

    def trusted(self, view: MeshView) -> MeshView:
        """The view with our key in place of its issuers' own."""
        return _trusting(view, _key_set(self._key.public_key()))

    def token(self, view: MeshView, claims: dict[str, Any]) -> str:
        """A token with these claims. What is not given is filled in: `iss` with the first rule's issuer, `sub`,
        `iat`, and `exp` in an hour.
        """
        rules = [rule for item in view.request_authentications for rule in item.spec.jwt_rules]
        issuer = rules[0].issuer if rules else _KEY_ID
        now = int(time.time())
        return _signed(self._key, {"iss": issuer, "sub": _KEY_ID, "iat": now, "exp": now + _LIFETIME, **claims})


def _trusting(view: MeshView, keys: str) -> MeshView:
    authentications = tuple(
        item.model_copy(update={"spec": item.spec.model_copy(update={
            "jwt_rules": tuple(rule.model_copy(update={"jwks": keys}) for rule in item.spec.jwt_rules)
        })})
        for item in view.request_authentications
    )  # fmt: skip
    return replace(view, request_authentications=authentications)


def _key_set(key: rsa.RSAPublicKey) -> str:
    numbers = key.public_numbers()
    modulus = _encoded(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8))
    exponent = _encoded(numbers.e.to_bytes(3))
    only = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": _KEY_ID, "n": modulus, "e": exponent}
    return orjson.dumps({"keys": [only]}).decode()


def _signed(key: rsa.RSAPrivateKey, claims: dict[str, Any]) -> str:
    head = _encoded(orjson.dumps({"alg": "RS256", "typ": "JWT", "kid": _KEY_ID}))
    body = f"{head}.{_encoded(orjson.dumps(claims))}"
    return f"{body}.{_encoded(key.sign(body.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
