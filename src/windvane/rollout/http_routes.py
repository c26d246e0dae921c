"""Gateway API HTTPRoutes of a release: which rules are its, and what stands around them while it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from yaml.nodes import MappingNode, Node

from windvane.kit.errors import BadInputError
from windvane.rollout.machine import Shape
from windvane.rollout.model import Plan, Target
from windvane.rollout.parts import literal
from windvane.rollout.places import Place, cookies, routes_of
from windvane.rollout.yaml_edit import Edit, Marks, get, into_mapping, items, plain, text_of

_OF_THE_COPY = ("name", "matches", "backendRefs")
_REFERENCE = ("group", "kind", "name", "namespace", "port")
_MODIFIER = "ResponseHeaderModifier"


def places(root: Node, file: str, plan: Plan) -> Iterator[Place]:
    """The rules with both versions' services among their backends."""
    return routes_of(get(root, "spec", "rules"), "backendRefs", _goes_to, file=file, plan=plan)


def _goes_to(target: MappingNode, to: Target, plan: Plan) -> bool:
    namespace = text_of(get(target, "namespace")) or plan.namespace
    kind = text_of(get(target, "kind")) or "Service"
    return (text_of(get(target, "name")), namespace, kind) == (to.service, plan.namespace, "Service")


def added(place: Place, file: str, plan: Plan, wanted: Shape, number: int) -> list[dict[str, Any]]:
    """Rules before the canary's own: those who match go to it, those who have a cookie stay where they were."""
    del number
    news = []
    if wanted.matching:
        news.append(_copy(place, file, [_as_gateway(one) for one in plan.match], to_canary=True))
    for to_canary, pattern, _ in cookies(plan, wanted.cookie):
        match = {"headers": [{"type": "RegularExpression", "name": "cookie", "value": pattern}]}
        news.append(_copy(place, file, [match], to_canary=to_canary))
    return news


def _copy(place: Place, file: str, matches: list[dict[str, Any]], *, to_canary: bool) -> dict[str, Any]:
    """The rule for some requests, and to one version alone."""
    value = plain(place.route)
    target = plain(place.canary if to_canary else place.base)
    return {
        "matches": [_both(one, other, place.route, file) for one in value.get("matches") or [{}] for other in matches],
        "backendRefs": [{key: each for key, each in target.items() if key != "weight"}],
        **{key: each for key, each in value.items() if key not in _OF_THE_COPY},
    }


def _both(one: dict[str, Any], other: dict[str, Any], rule: Node, file: str) -> dict[str, Any]:
    merged = dict(one)
    for name, value in other.items():
        mine = merged.get(name)
        if isinstance(mine, list):
            known = {_name(name, each) for each in mine}
            twice = next((each for each in value if _name(name, each) in known), None)
            merged[name] = [*mine, *value]
        else:
            twice, merged[name] = (mine, value)
        if twice is not None and mine != value:
            line = rule.start_mark.line + 1
            raise BadInputError(f"{file}:{line}: the rule and the release both match by {name}: they cannot be joined")
    return merged


def _name(of: str, match: dict[str, Any]) -> str:
    name = str(match.get("name"))
    return name.lower() if of == "headers" else name


def _as_gateway(match: dict[str, Any]) -> dict[str, Any]:
    """An HTTPMatchRequest in Gateway API's words; of those fields that it has words for (`parts.fitting`)."""
    found: dict[str, Any] = {}
    if uri := match.get("uri"):
        ((how, text),) = uri.items()
        found["path"] = {"type": {"exact": "Exact", "prefix": "PathPrefix", "regex": "RegularExpression"}[how],
                         "value": text}  # fmt: skip
    for field in ("headers", "queryParams"):
        if given := match.get(field):
            found[field] = [{**_value(value), "name": name} for name, value in given.items()]
    if method := match.get("method"):
        found["method"] = method.get("exact", "")
    return found


def _value(match: dict[str, Any] | None) -> dict[str, str]:
    if not match:
        return {"type": "RegularExpression", "value": ".*"}
    ((how, text),) = match.items()
    if how == "exact":
        return {"type": "Exact", "value": text}
    return {"type": "RegularExpression", "value": f"{literal(text)}.*" if how == "prefix" else text}


def within(text: str, marks: Marks, place: Place, *, file: str, plan: Plan, wanted: Shape) -> Iterator[Edit]:
    """What is put into the canary's own rules: copies of requests, cookies of answers."""
    if wanted.mirror:
        backend = {key: each for key, each in plain(place.canary).items() if key in _REFERENCE}
        share = {"percent": wanted.mirror} if wanted.mirror < 100 else {}
        filter_ = {"type": "RequestMirror", "requestMirror": {"backendRef": backend, **share}}
        yield _put(into_mapping(text, marks, place.route, ["filters"], [filter_]), place, file)
    for to_canary, _, set_ in cookies(plan, wanted.cookie):
        target = place.canary if to_canary else place.base
        header = {"name": "Set-Cookie", "value": set_}
        own = next((one for one in items(get(target, "filters")) if text_of(get(one, "type")) == _MODIFIER), None)
        if isinstance(own, MappingNode):  # a rule may have one modifier
            edit = into_mapping(text, marks, own, ["responseHeaderModifier", "add"], [header])
        else:
            filter_ = {"type": _MODIFIER, "responseHeaderModifier": {"add": [header]}}
            edit = into_mapping(text, marks, target, ["filters"], [filter_])
        yield _put(edit, place, file)


def _put(edit: Edit | None, place: Place, file: str) -> Edit:
    if edit is None:
        line = place.route.start_mark.line + 1
        raise BadInputError(f"{file}:{line}: filters: must be a list")
    return edit
