"""Delegation of routes: a VirtualService whose routes stand in others, which have no hosts of their own.

Every route of the delegate that lies within the delegating one takes its place. A match lies within another
when it asks for no less; where nothing can be said (regexes), and where the delegate is missing or not
exported, the route is left out, as Istio does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from windvane.mesh import hosts
from windvane.mesh.models import HTTPMatchRequest, HTTPRoute, StringMatch, VirtualService

# What a delegate's route has from the delegating one unless it says it itself.
_INHERITED = (
    "rewrite", "timeout", "retries", "fault", "mirror", "mirrors", "mirror_percent", "mirror_percentage",
    "cors_policy", "headers",
)  # fmt: skip
_TEXTS = ("uri", "scheme", "method", "authority")
_MAPS = ("headers", "without_headers", "query_params")


def merged(services: Iterable[VirtualService]) -> list[VirtualService]:
    """The VirtualServices that have hosts, with the routes of those they delegate to in place."""
    every = list(services)
    delegates = {(item.namespace, item.name): item for item in every if not item.spec.hosts}
    return [_with_delegates(item, delegates) for item in every if item.spec.hosts]


def _with_delegates(root: VirtualService, delegates: Mapping[tuple[str, str], VirtualService]) -> VirtualService:
    if not any(route.delegate for route in root.spec.http):
        return root
    routes = tuple(route for each in root.spec.http for route in _routes(root, each, delegates))
    return root.model_copy(update={"spec": root.spec.model_copy(update={"http": routes})})


def _routes(
    root: VirtualService, route: HTTPRoute, delegates: Mapping[tuple[str, str], VirtualService]
) -> Iterator[HTTPRoute]:
    if route.delegate is None:
        yield route
        return
    found = delegates.get((route.delegate.namespace or root.namespace, route.delegate.name))
    if found is not None and hosts.is_visible(found.spec.export_to, found.namespace, root.namespace):
        for each in found.spec.http:
            within = _route_within(route, each)
            if within is not None and each.delegate is None:
                yield within


def _route_within(outer: HTTPRoute, inner: HTTPRoute) -> HTTPRoute | None:
    matches = _matches_within(outer.match, inner.match)
    if matches is None:
        return None
    taken = {name: getattr(outer, name) for name in _INHERITED if not getattr(inner, name)}
    return inner.model_copy(update={**taken, "match": matches, "name": _joined(outer.name, inner.name)})


def _matches_within(
    outer: tuple[HTTPMatchRequest, ...], inner: tuple[HTTPMatchRequest, ...]
) -> tuple[HTTPMatchRequest, ...] | None:
    """Both at once; None when one of the inner matches lies within none of the outer."""
    if not outer or not inner:
        return outer or inner
    found = []
    for each in inner:
        within = [_both(around, each) for around in outer if _lies_within(around, each)]
        if not within:
            return None
        found += within
    return tuple(found)


def _both(outer: HTTPMatchRequest, inner: HTTPMatchRequest) -> HTTPMatchRequest:
    update: dict[str, Any] = {name: getattr(inner, name) or getattr(outer, name) for name in (*_TEXTS, "port")}
    update |= {name: {**getattr(outer, name), **getattr(inner, name)} for name in _MAPS}
    # Who asks, and through which gateway, only the delegating route can say.
    update |= {name: getattr(outer, name) for name in ("source_labels", "source_namespace", "gateways")}
    return inner.model_copy(update={**update, "name": _joined(outer.name, inner.name)})


def _lies_within(outer: HTTPMatchRequest, inner: HTTPMatchRequest) -> bool:
    pairs = [(getattr(outer, name), getattr(inner, name)) for name in _TEXTS]
    for name in _MAPS:
        around = getattr(outer, name)
        pairs += [(around.get(key), value) for key, value in getattr(inner, name).items()]
    same_case = outer.ignore_uri_case == inner.ignore_uri_case
    same_port = not outer.port or not inner.port or outer.port == inner.port
    return same_case and same_port and all(_text_within(around, each) for around, each in pairs)


def _text_within(outer: StringMatch | None, inner: StringMatch | None) -> bool:
    if outer is None or inner is None:
        return True
    if outer.regex is not None or inner.regex is not None:
        return False
    if outer.exact is not None:
        return inner.exact == outer.exact
    start = outer.prefix or ""
    asked = inner.exact if inner.exact is not None else inner.prefix
    return bool(start) and asked is not None and asked.startswith(start)


def _joined(outer: str, inner: str) -> str:
    return f"{outer}-{inner}" if outer and inner else outer or inner
