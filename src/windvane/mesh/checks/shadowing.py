"""Rules of a VirtualService that no request reaches, because earlier ones take all that they match.

Istio's analysis tells rules whose matches repeat earlier ones word for word, and rules after one without
conditions. Here a match is also covered by one that asks for less: a shorter prefix, a regex of literal text and
`.*`, fewer headers. Other regexes are compared as text only: nothing is told that is not certain, and no pattern is
run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from windvane.mesh.checks.references import Registry
from windvane.mesh.decode import Loaded
from windvane.mesh.findings import Finding
from windvane.mesh.models import HTTPMatchRequest, HTTPRoute, StringMatch, TCPRoute, TLSRoute, VirtualService

_LITERAL_ESCAPES = frozenset(r".+*?()[]{}|^$\/-")
_SPECIAL = frozenset(".+*?()[]{}|^$\\")
_TEXTS = ("scheme", "method", "authority")


def shadowing(loaded: Sequence[Loaded], _: Registry) -> Iterator[Finding]:
    """IST0130, IST0131, WV0401 and WV0402."""
    for item in loaded:
        if isinstance(item.resource, VirtualService):
            yield from _shadowed_rules(item, item.resource.spec.http)
            yield from _repeated_rules(item, "tls", item.resource.spec.tls)
            yield from _repeated_rules(item, "tcp", item.resource.spec.tcp)


def _repeated_rules(item: Loaded, field: str, rules: Sequence[TLSRoute | TCPRoute]) -> Iterator[Finding]:
    """Rules for connections whose matches repeat earlier ones, or that come after one without any."""
    seen: dict[str, int] = {}
    catch_all: int | None = None
    for number, route in enumerate(rules):
        if catch_all is not None:
            words = f"VirtualService rule #{number} not used (rule #{catch_all} before it matches everything)."
            yield item.finding("IST0130", words, ("spec", field, number))
            continue
        repeated = 0
        for index, match in enumerate(route.match):
            text = match.model_dump_json(exclude_defaults=True)
            if text in seen:
                repeated += 1
                words = f"VirtualService rule #{number} match #{index} is not used "
                words += f"(duplicate/overlapping match in rule #{seen[text]})."
                yield item.finding("IST0131", words, ("spec", field, number, "match", index))
            seen.setdefault(text, number)
        if route.match and repeated == len(route.match):
            words = f"VirtualService rule #{number} not used (all matches are used by earlier rules)."
            yield item.finding("IST0130", words, ("spec", field, number))
        catch_all = None if route.match else number


def _shadowed_rules(item: Loaded, routes: Sequence[HTTPRoute]) -> Iterator[Finding]:
    seen: list[tuple[int, HTTPMatchRequest]] = []
    catch_all: int | None = None
    for number, route in enumerate(routes):
        if catch_all is not None:
            words = f"VirtualService rule #{number} not used (rule #{catch_all} before it matches everything)."
            yield item.finding("IST0130", words, ("spec", "http", number))
            continue
        yield from _shadowed_matches(item, number, route, seen)
        # What a delegate's own routes do not match goes on to later rules.
        if route.delegate is None:
            seen.extend((number, match) for match in route.match)
            if not route.match or any(covers(match, HTTPMatchRequest()) for match in route.match):
                catch_all = number


def _shadowed_matches(
    item: Loaded, number: int, route: HTTPRoute, seen: Sequence[tuple[int, HTTPMatchRequest]]
) -> Iterator[Finding]:
    repeated = covered = 0
    for index, match in enumerate(route.match):
        earlier = [*seen, *((number, other) for other in route.match[:index])]
        same = next((rule for rule, other in earlier if _conditions(other) == _conditions(match)), None)
        wider = next((rule for rule, other in seen if covers(other, match)), None)
        place = ("spec", "http", number, "match", index)
        if same is not None:
            repeated += 1
            words = f"VirtualService rule #{number} match #{index} is not used "
            yield item.finding("IST0131", f"{words}(duplicate/overlapping match in rule #{same}).", place)
        elif wider is not None:
            covered += 1
            words = f"rule #{number} match #{index} is not used: a match of rule #{wider} takes all that it would"
            yield item.finding("WV0402", words, place)
    if route.match and repeated == len(route.match):
        words = f"VirtualService rule #{number} not used (all matches are used by earlier rules)."
        yield item.finding("IST0130", words, ("spec", "http", number))
    elif route.match and repeated + covered == len(route.match):
        words = f"rule #{number} is not used: matches of earlier rules take all that it would"
        yield item.finding("WV0401", words, ("spec", "http", number))


def _conditions(match: HTTPMatchRequest) -> HTTPMatchRequest:
    """A match without its names."""
    return match.model_copy(update={"name": "", "stat_prefix": ""})


def covers(wide: HTTPMatchRequest, narrow: HTTPMatchRequest) -> bool:
    """Whether every request that `narrow` matches is certainly one that `wide` matches."""
    return (
        _covers_uri(wide, narrow)
        and all(_covers_text(getattr(wide, name), getattr(narrow, name)) for name in _TEXTS)
        and _covers_all(_lower(wide.headers), _lower(narrow.headers))
        and _covers_all(wide.query_params, narrow.query_params)
        # Not to match something is implied by not to match more than it.
        and _excludes_all(_lower(wide.without_headers), _lower(narrow.without_headers))
        and wide.port in (0, narrow.port)
        and wide.source_labels.items() <= narrow.source_labels.items()
        and wide.source_namespace in ("", narrow.source_namespace)
        and (not wide.gateways or (bool(narrow.gateways) and set(narrow.gateways) <= set(wide.gateways)))
    )


def _covers_uri(wide: HTTPMatchRequest, narrow: HTTPMatchRequest) -> bool:
    outer, inner = wide.uri, narrow.uri
    if outer is None or outer.prefix == "/" or outer.regex in (".*", "/.*"):  # every path begins with a slash
        return True
    if wide.ignore_uri_case and inner is not None and outer.regex is None and inner.regex is None:
        return _covers_text(_folded(outer), _folded(inner))
    # What matches in any letter case (regexes never do) is only surely within what does so as well.
    caseless = narrow.ignore_uri_case and inner is not None and inner.regex is None
    return not caseless and _covers_text(outer, inner)


def _folded(match: StringMatch) -> StringMatch:
    values = {"exact": match.exact, "prefix": match.prefix}
    return StringMatch(**{name: value.lower() for name, value in values.items() if value is not None})


def _lower(matches: Mapping[str, StringMatch]) -> dict[str, StringMatch]:
    return {name.lower(): match for name, match in matches.items()}


def _covers_all(wide: Mapping[str, StringMatch], narrow: Mapping[str, StringMatch]) -> bool:
    return all(name in narrow and _covers_text(match, narrow[name]) for name, match in wide.items())


def _excludes_all(wide: Mapping[str, StringMatch], narrow: Mapping[str, StringMatch]) -> bool:
    return all(name in narrow and _covers_text(narrow[name], match) for name, match in wide.items())


def _covers_text(wide: StringMatch | None, narrow: StringMatch | None) -> bool:
    """Whether every text that `narrow` matches is one of `wide`; presence is the widest."""
    if wide is None or wide == narrow or (narrow is not None and _is_presence(wide)):
        return True
    if narrow is None or _is_presence(narrow) or wide.exact is not None:
        return False
    start = wide.prefix if wide.regex is None else _open_start(wide.regex)
    return start is not None and _start(narrow).startswith(start)


def _is_presence(match: StringMatch) -> bool:
    return match.is_presence or match.regex == "*"


def _start(match: StringMatch) -> str:
    """What every text of a match begins with."""
    if match.regex is not None:
        return "" if "|" in match.regex else _literal(match.regex)[0]
    return (match.exact if match.exact is not None else match.prefix) or ""


def _open_start(pattern: str) -> str | None:
    """The literal text of a pattern that goes on with `.*` and nothing else; None for other patterns."""
    text, rest = _literal(pattern)
    return text if rest == ".*" else None


def _literal(pattern: str) -> tuple[str, str]:
    """The literal text that a pattern begins with, and the rest of it."""
    text, at = "", 0
    while at < len(pattern):
        size = 2 if pattern[at] == "\\" else 1
        char = pattern[at + size - 1 : at + size]
        if not char or (char not in _LITERAL_ESCAPES if size == 2 else char in _SPECIAL):
            break
        if pattern[at + size : at + size + 1] in ("*", "?", "{", "+"):
            break
        text, at = text + char, at + size
    return text, pattern[at:]
