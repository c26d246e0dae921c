"""Which of several rules of a host decides, as Gateway API says: the most specific match, then the older route."""

from __future__ import annotations

from windvane.mesh.models import HTTPMatchRequest, HTTPRoute, Resource


def specificity(rule: HTTPRoute) -> tuple[int, int, bool, int, int]:
    """A key that sorts rules of one match, the first to be tried before the others.

    Exact paths come before prefixes and those before regexes (which the API leaves to Istio), longer before shorter,
    then matches with a method, with more headers, with more query parameters. Where keys are equal the order of
    routes, and within a route that of rules, remains.
    """
    if not rule.match:
        return (1, 0, False, 0, 0)
    match = rule.match[0]
    rank, length = _path(match)
    return (-rank, -length, match.method is None, -len(match.headers), -len(match.query_params))


def _path(match: HTTPMatchRequest) -> tuple[int, int]:
    if match.uri is None:
        return -1, 0
    for rank, text in ((3, match.uri.exact), (2, match.uri.prefix), (1, match.uri.regex)):
        if text is not None:
            return rank, len(text)
    return -1, 0


def age(resource: Resource) -> tuple[str, str, str]:
    """The order of routes of equal specificity: the oldest first, then by namespace and name."""
    return (resource.metadata.creation_timestamp or "9999", resource.namespace, resource.name)
