"""VirtualServices of a release: which routes are its, and what stands around them while it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from yaml.nodes import MappingNode, Node

from windvane.kit.errors import BadInputError
from windvane.mesh.models.base import json_name
from windvane.rollout.machine import Shape
from windvane.rollout.model import Plan, Target
from windvane.rollout.places import Place, both, cookies, is_service, routes_of
from windvane.rollout.yaml_edit import Edit, Marks, get, into_mapping, plain, text_of

_OF_THE_COPY = ("name", "match", "route")


def places(root: Node, file: str, plan: Plan) -> Iterator[Place]:
    """The HTTP routes with both versions among their destinations."""
    return routes_of(get(root, "spec", "http"), "route", _goes_to, file=file, plan=plan)


def _goes_to(target: MappingNode, to: Target, plan: Plan) -> bool:
    host, subset = (text_of(get(target, "destination", name)) for name in ("host", "subset"))
    return is_service(host, to.service, plan.namespace) and subset == to.subset


def added(place: Place, file: str, plan: Plan, wanted: Shape, number: int) -> list[dict[str, Any]]:
    """Routes before the canary's own: those who match go to it, those who have a cookie stay where they were."""
    more = f"-{number}" if number else ""
    news = []
    if wanted.matching:
        news.append(_copy(place, file, plan.match, f"windvane-{plan.name}-match{more}", to_canary=True))
    for to_canary, pattern, _ in cookies(plan, wanted.cookie):
        name = f"windvane-{plan.name}-{'canary' if to_canary else 'baseline'}{more}"
        news.append(_copy(place, file, [{"headers": {"cookie": {"regex": pattern}}}], name, to_canary=to_canary))
    return news


def _copy(place: Place, file: str, match: list[dict[str, Any]], name: str, *, to_canary: bool) -> dict[str, Any]:
    """The route for some requests, and to one version alone."""
    value = plain(place.route)
    own = [{json_name(key): each for key, each in one.items()} for one in value.get("match") or [{}]]
    target = plain(place.canary if to_canary else place.base)
    rest = {key: each for key, each in value.items() if json_name(key) not in _OF_THE_COPY}
    return {
        "name": name,
        "match": [_unnamed(both(one, other, place.route, file)) for one in own for other in match],
        "route": [{key: each for key, each in target.items() if key != "weight"}],
        **rest,
    }


def _unnamed(match: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in match.items() if key != "name"}


def within(text: str, marks: Marks, place: Place, *, file: str, plan: Plan, wanted: Shape) -> Iterator[Edit]:
    """What is put into the canary's own routes: copies of requests, cookies of answers."""
    line = place.route.start_mark.line + 1
    if wanted.mirror:
        if get(place.route, "mirror") is not None:
            raise BadInputError(f"{file}:{line}: the route mirrors already: write `mirrors`, which takes several")
        copies = {"destination": plain(_destination(place.canary)), "percentage": {"value": wanted.mirror}}
        edit = into_mapping(text, marks, place.route, ["mirrors"], [copies])
        assert edit is not None
        yield edit
    for to_canary, _, set_ in cookies(plan, wanted.cookie):
        target = place.canary if to_canary else place.base
        edit = into_mapping(text, marks, target, ["headers", "response", "add", "Set-Cookie"], set_)
        if edit is None:
            raise BadInputError(f"{file}:{line}: a destination adds a Set-Cookie of its own: there is room for one")
        yield edit


def _destination(target: MappingNode) -> Node:
    node = get(target, "destination")
    assert node is not None
    return node
