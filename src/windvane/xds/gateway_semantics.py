"""What Gateway API's routes mean to Envoy where a VirtualService would mean something else.

A path prefix ends with a segment: `/v1` is for `/v1` and `/v1/x`, not for `/v10`. What is put in the place of a
prefix is joined to the rest of the path with one slash. A destination that is not there answers 500.
"""

from __future__ import annotations

import re

from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.type.matcher import v3 as matcher

from windvane.mesh.models import HTTPMatchRequest


def match_whole_segments(made: route.RouteMatch) -> None:
    """Make a match of any path prefix one of whole segments."""
    if made.prefix and made.prefix != "/":
        made.path_separated_prefix, made.prefix = made.prefix.rstrip("/"), None


def answer_500_for_unknown(action: route.RouteAction) -> None:
    """Requests to a cluster that is not there get 500 instead of 503."""
    action.cluster_not_found_response_code = route.RouteActionClusterNotFoundResponseCode.INTERNAL_SERVER_ERROR


def replace_prefix(
    action: route.RouteAction | route.RedirectAction, match: HTTPMatchRequest | None, replacement: str
) -> None:
    """Put `replacement` in the place of the prefix that a match is for."""
    prefix = (match.uri.prefix or "").rstrip("/") if match is not None and match.uri is not None else ""
    replacement = replacement.rstrip("/")
    if prefix and replacement:
        action.prefix_rewrite = replacement
    elif prefix:
        pattern = matcher.RegexMatcher(regex=f"^{re.escape(prefix)}/?(.*)")
        action.regex_rewrite = matcher.RegexMatchAndSubstitute(pattern=pattern, substitution=r"/\1")
    elif replacement:
        action.prefix_rewrite = f"{replacement}/"
