"""WV0513: matches of routes that no request reaches, because others of the same host come first and take all of it.

Which comes first is Gateway API's precedence, not the order of rules: a rule for every path takes what a regex
would, and of equal matches the older route's decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from windvane.mesh.checks.references import Registry
from windvane.mesh.checks.shadowing import covers
from windvane.mesh.decode import Loaded
from windvane.mesh.findings import Finding
from windvane.mesh.gateway_api.conditions import key_of
from windvane.mesh.gateway_api.semantics import Origin, TranslatedRoutes
from windvane.mesh.models import HTTPMatchRequest, StringMatch, gateway_api
from windvane.mesh.yaml_source import Path

_Placed = tuple[HTTPMatchRequest, Origin]


def shadowing(loaded: Sequence[Loaded], registry: Registry) -> Iterator[Finding]:
    """Matches that are reached at none of the hosts and listeners that their route is in force for."""
    taken: dict[Origin, Origin] = {}
    reached: set[Origin] = set()
    for item in registry.view.virtual_services:
        if isinstance(item, TranslatedRoutes):
            for origin, earlier in _shadowed(item):
                if earlier is None:
                    reached.add(origin)
                else:
                    taken.setdefault(origin, earlier)
    places = {key_of(item.resource): item for item in loaded if isinstance(item.resource, gateway_api.Route)}
    for origin, earlier in taken.items():
        if origin not in reached and origin.route in places:
            yield _told(places[origin.route], origin, earlier)


def _told(item: Loaded, origin: Origin, earlier: Origin) -> Finding:
    who = f"rules[{earlier.rule}]" if earlier.route == origin.route else f"{earlier.reference} rules[{earlier.rule}]"
    words = f"no request reaches this match: {who} comes first and takes all that it would"
    path: Path = ("spec", "rules", origin.rule)
    assert isinstance(item.resource, gateway_api.HTTPRoute | gateway_api.GRPCRoute)
    if item.resource.spec.rules[origin.rule].matches:
        path = (*path, "matches", origin.match)
    return item.finding("WV0513", words, path)


def _shadowed(item: TranslatedRoutes) -> Iterator[tuple[Origin, Origin | None]]:
    """Each match in the order in which they are tried, with an earlier one that takes all of it.

    Earlier ones that may: of the same path, of every path, and prefixes before a regex.
    """
    by_path: dict[StringMatch | None, list[_Placed]] = defaultdict(list)
    everywhere: list[_Placed] = []
    prefixes: list[tuple[str, _Placed]] = []
    for rule, origin in zip(item.spec.http, item.origins, strict=True):
        match = rule.match[0] if rule.match else HTTPMatchRequest()
        path = match.uri
        pattern = path.regex if path is not None and path.regex is not None else ""
        before = [placed for start, placed in prefixes if pattern.startswith(start)] if pattern else ()
        earlier = (*by_path[path], *everywhere, *before)
        yield origin, next((found for wide, found in earlier if covers(wide, match)), None)
        by_path[path].append((match, origin))
        if path is None or path.prefix == "/":
            everywhere.append((match, origin))
        elif path.prefix is not None:
            # A prefix ends with a segment: of longer paths it takes those that go on with a slash.
            start = f"{path.prefix}/"
            prefixes.append((start, (match.model_copy(update={"uri": StringMatch(prefix=start)}), origin)))
