"""What Gateway API asks of filters, one by one and of those of a rule together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from windvane.mesh.checks.common import Problem, check_header_name, check_port, invalid
from windvane.mesh.checks.gateway_api.gateways import check_hostname, check_name
from windvane.mesh.models import gateway_api
from windvane.mesh.models.base import json_name
from windvane.mesh.yaml_source import Path

_FIELDS = {
    "RequestHeaderModifier": "request_header_modifier",
    "ResponseHeaderModifier": "response_header_modifier",
    "RequestMirror": "request_mirror",
    "RequestRedirect": "request_redirect",
    "URLRewrite": "url_rewrite",
    "CORS": "cors",
    "ExtensionRef": "extension_ref",
    "ExternalAuth": "external_auth",
}
_REPEATABLE = ("RequestMirror", "ExtensionRef", "ExternalAuth")
_REDIRECTS = (301, 302, 303, 307, 308)
_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.\-]*://(\*\.)?[A-Za-z0-9\-._~%\[\]:]+")

_Filter = gateway_api.HTTPRouteFilter | gateway_api.GRPCRouteFilter


def check_filters(path: Path, filters: Sequence[_Filter], rule: gateway_api.HTTPRouteRule | None) -> Iterator[Problem]:
    """The filters of a rule or of a backend at `path`; `rule` is the HTTPRoute's rule around them."""
    kinds = [one.type for one in filters]
    for index, kind in enumerate(kinds):
        if kind in kinds[:index] and kind not in _REPEATABLE:
            yield invalid((*path, "filters", index), f"filter {kind} must not be repeated")
    if "RequestRedirect" in kinds and "URLRewrite" in kinds:
        yield invalid((*path, "filters"), "RequestRedirect and URLRewrite must not stand together")
    if "RequestRedirect" in kinds and rule is not None and rule.backend_refs:
        yield invalid((*path, "backendRefs"), "RequestRedirect must not be used together with backendRefs")
    for index, one in enumerate(filters):
        yield from _check_filter((*path, "filters", index), one, rule)


def _check_filter(path: Path, one: _Filter, rule: gateway_api.HTTPRouteRule | None) -> Iterator[Problem]:
    for kind, name in _FIELDS.items():
        given = getattr(one, name, None) is not None
        if given and kind != one.type:
            yield invalid(
                (*path, json_name(name)), f"{json_name(name)} must not be given for a filter of type {one.type}"
            )
        if not given and kind == one.type:
            yield invalid((*path, json_name(name)), f"a filter of type {one.type} needs {json_name(name)}")
    for name in ("request_header_modifier", "response_header_modifier"):
        changes = getattr(one, name)
        if changes is not None:
            yield from _check_changes((*path, json_name(name)), changes)
    if one.request_mirror is not None:
        yield from _check_mirror((*path, "requestMirror"), one.request_mirror)
    if isinstance(one, gateway_api.HTTPRouteFilter):
        yield from _check_http(path, one, rule)


def _check_http(
    path: Path, one: gateway_api.HTTPRouteFilter, rule: gateway_api.HTTPRouteRule | None
) -> Iterator[Problem]:
    redirect, rewrite = one.request_redirect, one.url_rewrite
    if redirect is not None:
        place = (*path, "requestRedirect")
        if redirect.status_code not in _REDIRECTS:
            listed = ", ".join(map(str, _REDIRECTS))
            yield invalid((*place, "statusCode"), f"status code {redirect.status_code} is none of {listed}")
        if redirect.port is not None:
            yield from check_port((*place, "port"), redirect.port)
        yield from _check_hostname(place, redirect.hostname)
        yield from _check_modifier((*place, "path"), redirect.path, rule)
    if rewrite is not None:
        yield from _check_hostname((*path, "urlRewrite"), rewrite.hostname)
        yield from _check_modifier((*path, "urlRewrite", "path"), rewrite.path, rule)
    for index, origin in enumerate(one.cors.allow_origins if one.cors else ()):
        if not _ORIGIN.fullmatch(origin):
            yield invalid((*path, "cors", "allowOrigins", index), f"{origin!r} is not an origin (scheme://host:port)")


def _check_hostname(path: Path, host: str | None) -> Iterator[Problem]:
    if host is None:
        return
    if host.startswith("*"):
        yield invalid((*path, "hostname"), f"{host!r} is not one host")
    else:
        yield from check_hostname((*path, "hostname"), host)


def _check_changes(path: Path, changes: gateway_api.HTTPHeaderFilter) -> Iterator[Problem]:
    for name in ("set", "add"):
        for index, one in enumerate(getattr(changes, name)):
            yield from check_header_name((*path, name, index, "name"), one.name)
    for index, header in enumerate(changes.remove):
        yield from check_header_name((*path, "remove", index), header)


def _check_mirror(path: Path, mirror: gateway_api.HTTPRequestMirrorFilter) -> Iterator[Problem]:
    yield from check_name((*path, "backendRef", "name"), mirror.backend_ref.name)
    if mirror.backend_ref.port is None:
        yield invalid((*path, "backendRef", "port"), f"port is required for a {mirror.backend_ref.kind}")
    if mirror.percent is not None and mirror.fraction is not None:
        yield invalid(path, "only one of percent and fraction may be given")
    if mirror.percent is not None and not 0 <= mirror.percent <= 100:
        yield invalid((*path, "percent"), f"percent {mirror.percent} is not in range 0..100")
    part = mirror.fraction
    if part is not None and not (0 <= part.numerator <= part.denominator and part.denominator >= 1):
        yield invalid((*path, "fraction"), f"{part.numerator}/{part.denominator} is not a share of a whole")


def _check_modifier(
    path: Path, modifier: gateway_api.HTTPPathModifier | None, rule: gateway_api.HTTPRouteRule | None
) -> Iterator[Problem]:
    if modifier is None:
        return
    fields = {"ReplaceFullPath": "replace_full_path", "ReplacePrefixMatch": "replace_prefix_match"}
    for kind, name in fields.items():
        value = getattr(modifier, name)
        if (value is not None) != (kind == modifier.type):
            words = "needs" if kind == modifier.type else "must not have"
            yield invalid((*path, json_name(name)), f"type {modifier.type} {words} {json_name(name)}")
        elif value and (not value.startswith("/") or any(ord(char) < 0x21 for char in value)):
            yield invalid((*path, json_name(name)), f"{value!r} is not an absolute path")
    if modifier.type == "ReplacePrefixMatch" and rule is not None:
        matches = rule.matches or (gateway_api.HTTPRouteMatch(),)
        if len(matches) != 1 or matches[0].path.type != "PathPrefix":
            yield invalid((*path, "type"), "ReplacePrefixMatch needs exactly one match, of type PathPrefix")
