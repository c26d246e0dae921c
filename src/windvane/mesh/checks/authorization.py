"""Istio's validation of AuthorizationPolicy and RequestAuthentication."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import orjson

from windvane.mesh.checks.attachment import check_targets
from windvane.mesh.checks.common import (
    Problem,
    check_duration,
    check_header_name,
    check_labels,
    doubtful,
    invalid,
)
from windvane.mesh.models import AuthorizationPolicy, JWTRule, Operation, RequestAuthentication, Rule, Source
from windvane.mesh.models.security import Condition
from windvane.mesh.yaml_source import Path

_SOURCE = ("principals", "request_principals", "namespaces", "service_accounts", "ip_blocks", "remote_ip_blocks")
_IDENTITIES = ("namespaces", "service_accounts", "principals", "request_principals")
_OPERATION = ("hosts", "ports", "methods", "paths")
_CAMEL = {
    "request_principals": "requestPrincipals", "service_accounts": "serviceAccounts", "ip_blocks": "ipBlocks",
    "remote_ip_blocks": "remoteIpBlocks",
}  # fmt: skip
_KEYS = (
    "source.ip", "remote.ip", "source.namespace", "source.principal", "request.auth.principal",
    "request.auth.audiences", "request.auth.presenter", "destination.ip", "destination.port", "connection.sni",
)  # fmt: skip
_NAMED_KEYS = re.compile(
    r"(request\.headers\[[^\[\]]+\]|request\.auth\.claims(\[[^\[\]]+\])+|experimental\.envoy\.filters\..+\[[^\[\]]+\])"
)
_KEY_FIELDS = {
    "RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "oct": ("k",),
}  # fmt: skip
_ADDRESSES = ("source.ip", "remote.ip", "destination.ip")


def check_authorization_policy(item: AuthorizationPolicy) -> Iterator[Problem]:
    """Everything that makes Istio refuse an AuthorizationPolicy."""
    spec = item.spec
    if spec.selector is not None:
        yield from check_labels(("spec", "selector", "matchLabels"), spec.selector.match_labels)
    if spec.action in ("DENY", "CUSTOM") and not spec.rules:
        words = f"{spec.action} action without `rules` is meaningless as it will never be triggered"
        yield invalid(("spec", "rules"), words)
    yield from check_targets(spec)
    if spec.action == "CUSTOM":
        if spec.provider is None or not spec.provider.name:
            yield invalid(("spec", "provider"), "`provider.name` must not be empty")
        yield from _not_with_custom(spec.rules)
    elif spec.provider is not None:
        yield invalid(("spec", "provider"), "`provider` must not be with non CUSTOM action")
    for index, rule in enumerate(spec.rules):
        yield from _check_rule(("spec", "rules", index), rule)


def _not_with_custom(rules: Sequence[Rule]) -> Iterator[Problem]:
    """Who asks is not known yet where external authorizers are asked: Istio refuses such rules."""
    words = "is currently not supported with CUSTOM action"
    for number, rule in enumerate(rules):
        path: Path = ("spec", "rules", number)
        for index, source in enumerate(each.source for each in rule.from_):
            for place, values in _lists((*path, "from", index, "source"), source, _IDENTITIES) if source else ():
                if values:
                    name = str(place[-1])
                    yield invalid(place, f"From.{name[0].upper()}{name[1:]} {words}")
        for index, key in enumerate(condition.key for condition in rule.when):
            if key in ("source.namespace", "source.principal") or key.startswith("request.auth."):
                yield invalid((*path, "when", index, "key"), f"{key} {words}")


def _check_rule(path: Path, rule: Rule) -> Iterator[Problem]:
    for name in ("from_", "to", "when"):
        if name in rule.model_fields_set and not getattr(rule, name):
            field = name.rstrip("_")
            yield invalid((*path, field), f"`{field}` cannot be empty, must have at least one element")
    for index, each in enumerate(rule.from_):
        yield from _check_source((*path, "from", index, "source"), each.source)
    for index, to in enumerate(rule.to):
        yield from _check_operation((*path, "to", index, "operation"), to.operation)
    for index, condition in enumerate(rule.when):
        yield from _check_condition((*path, "when", index), condition)


def _check_source(path: Path, source: Source | None) -> Iterator[Problem]:
    if source is None or not source.model_fields_set:
        yield invalid(path, "`from.source` cannot be empty")
        return
    accounts = source.service_accounts or source.not_service_accounts
    if accounts and (source.principals or source.not_principals or source.namespaces or source.not_namespaces):
        yield invalid((*path, "serviceAccounts"), "cannot set serviceAccounts with namespaces or principals")
    for place, values in _lists(path, source, _SOURCE):
        yield from _check_values(place, values)
        if "pBlocks" in str(place[-1]):
            yield from _check_addresses(place, values)


def _check_operation(path: Path, operation: Operation | None) -> Iterator[Problem]:
    if operation is None or not operation.model_fields_set:
        yield invalid(path, "`to.operation` cannot be empty")
        return
    for place, values in _lists(path, operation, _OPERATION):
        yield from _check_values(place, values)
        if str(place[-1]).lower().endswith("ports"):
            yield from _check_ports(place, values)
        if str(place[-1]).lower().endswith("paths"):
            yield from _check_templates(place, values)


def _check_condition(path: Path, condition: Condition) -> Iterator[Problem]:
    key = condition.key
    if not key:
        yield invalid((*path, "key"), "`key` cannot be empty")
        return
    if key not in _KEYS and not _NAMED_KEYS.fullmatch(key):
        yield invalid((*path, "key"), f"unknown attribute: {key}")
    if not condition.values and not condition.not_values:
        yield invalid(path, f"at least one of `values` or `notValues` must be set for key {key}")
    for name, values in (("values", condition.values), ("notValues", condition.not_values)):
        yield from _check_values((*path, name), values)
        if key in _ADDRESSES:
            yield from _check_addresses((*path, name), values)
        elif key == "destination.port":
            yield from _check_ports((*path, name), values)


def _lists(path: Path, message: Source | Operation, names: Sequence[str]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    for name in names:
        camel = _CAMEL.get(name, name)
        yield (*path, camel), getattr(message, name)
        yield (*path, f"not{camel[0].upper()}{camel[1:]}"), getattr(message, f"not_{name}")


def _check_values(path: Path, values: Sequence[str]) -> Iterator[Problem]:
    for index, value in enumerate(values):
        if not value:
            yield invalid((*path, index), "an empty value is not allowed")


def _check_addresses(path: Path, values: Sequence[str]) -> Iterator[Problem]:
    for index, value in enumerate(values):
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            yield invalid((*path, index), f"invalid IP address or CIDR range: {value!r}")


def _check_ports(path: Path, values: Sequence[str]) -> Iterator[Problem]:
    for index, value in enumerate(values):
        if not (value.isascii() and value.isdecimal() and 0 <= int(value) <= 65_535):
            yield invalid((*path, index), f"invalid port {value!r}")


def _check_templates(path: Path, values: Sequence[str]) -> Iterator[Problem]:
    """`{*}` and `{**}` are whole segments, `{**}` the last of them, and no other wildcard stands beside them."""
    for index, value in enumerate(values):
        if "{" not in value and "}" not in value:
            continue
        segments = value.split("/")
        rest = value.replace("{**}", "").replace("{*}", "")
        wildcards = [segment for segment in segments if segment in ("{*}", "{**}")]
        if any(c in rest for c in "{}*") or len(wildcards) != value.count("{") or "{**}" in segments[:-1]:
            yield invalid((*path, index), f"invalid path template {value!r}: {{*}} and {{**}} are whole segments")


def check_request_authentication(item: RequestAuthentication) -> Iterator[Problem]:
    """Everything that makes Istio refuse a RequestAuthentication."""
    if item.spec.selector is not None:
        yield from check_labels(("spec", "selector", "matchLabels"), item.spec.selector.match_labels)
    yield from check_targets(item.spec)
    for index, rule in enumerate(item.spec.jwt_rules):
        yield from _check_jwt_rule(("spec", "jwtRules", index), rule)


def _check_jwt_rule(path: Path, rule: JWTRule) -> Iterator[Problem]:
    if not rule.issuer:
        yield invalid((*path, "issuer"), "issuer must be set non empty")
    yield from _check_values((*path, "audiences"), rule.audiences)
    if rule.jwks:
        yield from (invalid((*path, "jwks"), problem) for problem in key_set_problems(rule.jwks))
    if rule.jwks_uri:
        yield from (invalid((*path, "jwksUri"), problem) for problem in uri_problems(rule.jwks_uri))
    elif rule.issuer and not rule.jwks:
        words = "there is neither jwks nor jwksUri, and no keys can be found by the issuer"
        yield from (doubtful((*path, "issuer"), f"{words}: {problem}") for problem in uri_problems(rule.issuer))
    yield from check_duration((*path, "timeout"), rule.timeout)
    for index, header in enumerate(rule.from_headers):
        yield from check_header_name((*path, "fromHeaders", index, "name"), header.name)
    yield from _check_values((*path, "fromParams"), rule.from_params)
    yield from _check_values((*path, "fromCookies"), rule.from_cookies)
    for index, output in enumerate(rule.output_claim_to_headers):
        place: Path = (*path, "outputClaimToHeaders", index)
        yield from check_header_name((*place, "header"), output.header)
        if not output.claim:
            yield invalid((*place, "claim"), "outputClaimToHeaders claim value must be set")


def uri_problems(uri: str) -> Iterator[str]:
    """Why nothing can be fetched from a URI."""
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        yield f"{uri!r} is not a URI: {error}"
        return
    if parts.scheme not in ("http", "https"):
        yield f"URI scheme {parts.scheme!r} is not supported"
    elif not host:
        yield f"{uri!r} names no host"


def key_set_problems(text: str) -> Iterator[str]:
    """What is wrong with a JSON Web Key Set (RFC 7517): an object with a list `keys`."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        yield f"parse jwks error: {error}"
        return
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list) or not keys:
        yield "parse jwks error: an object with a list `keys` is expected, with at least one key"
        return
    for key in keys:
        kind = key.get("kty") if isinstance(key, dict) else None
        known = _KEY_FIELDS.get(kind) if isinstance(kind, str) else None
        missing = ["kty"] if known is None else [name for name in known if not key.get(name)]
        if missing:
            yield f"parse jwks error: a key needs {', '.join(missing)} (kty: {', '.join(_KEY_FIELDS)})"
