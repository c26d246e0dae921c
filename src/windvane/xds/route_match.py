"""What a request must look like for a rule of a VirtualService, as Envoy matches it."""

from __future__ import annotations

from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.type.matcher import v3 as matcher

from windvane.mesh.models import HTTPMatchRequest, StringMatch


def route_match(match: HTTPMatchRequest | None) -> route.RouteMatch:
    """What a request must look like; headers in order of their name so that equal rules are equal bytes."""
    if match is None:
        return route.RouteMatch(prefix="/")
    made = _path_match(match.uri)
    made.case_sensitive = not match.ignore_uri_case
    wanted = [_header_match(name, value) for name, value in match.headers.items()]
    wanted += [_absent_header_match(name, value) for name, value in match.without_headers.items()]
    made.headers = sorted(wanted, key=lambda header: header.name)
    pseudo = ((":method", match.method), (":authority", match.authority), (":scheme", match.scheme))
    made.headers += [_header_match(name, value) for name, value in pseudo if value is not None]
    made.query_parameters = [_query_match(name, value) for name, value in sorted(match.query_params.items())]
    return made


def takes_everything(made: route.Route) -> bool:
    """Whether no request is left for routes after this one."""
    match = made.match
    if match is None or match.headers or match.query_parameters:
        return False
    return match.prefix == "/" or (match.safe_regex is not None and match.safe_regex.regex == ".*")


def _path_match(uri: StringMatch | None) -> route.RouteMatch:
    if uri is None or uri.is_presence:
        return route.RouteMatch(prefix="/")
    if uri.exact is not None:
        return route.RouteMatch(path=uri.exact)
    if uri.prefix is not None:
        return route.RouteMatch(prefix=uri.prefix)
    return route.RouteMatch(safe_regex=matcher.RegexMatcher(regex=uri.regex or ""))


def _is_presence(match: StringMatch) -> bool:
    """A regex of `*` alone means "there is one" to Istio, though it is no pattern."""
    return match.is_presence or match.regex == "*"


def string_matcher(match: StringMatch) -> matcher.StringMatcher:
    """Istio's string match as Envoy's."""
    if match.exact is not None:
        return matcher.StringMatcher(exact=match.exact)
    if match.prefix is not None:
        return matcher.StringMatcher(prefix=match.prefix)
    return matcher.StringMatcher(safe_regex=matcher.RegexMatcher(regex=match.regex or ""))


def _header_match(name: str, match: StringMatch) -> route.HeaderMatcher:
    if _is_presence(match):
        return route.HeaderMatcher(name=name, present_match=True)
    return route.HeaderMatcher(name=name, string_match=string_matcher(match))


def _absent_header_match(name: str, match: StringMatch) -> route.HeaderMatcher:
    made = _header_match(name, match)
    made.invert_match = True
    # A header that is not there does not have the value either.
    made.treat_missing_header_as_empty = not _is_presence(match)
    return made


def _query_match(name: str, match: StringMatch) -> route.QueryParameterMatcher:
    if _is_presence(match):
        return route.QueryParameterMatcher(name=name, present_match=True)
    return route.QueryParameterMatcher(name=name, string_match=string_matcher(match))
