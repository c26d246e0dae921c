"""Weights in a VirtualService's file, changed in place: nothing but the numbers, so that comments and order stay.

Every HTTP route that has a destination of each of the two subsets of the service is a route of the canary. Where a
route has other destinations too they keep their weights, and the two share what theirs were together.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from windvane.kit.errors import BadInputError, NotFoundError
from windvane.kit.strict_yaml import read_text
from windvane.kit.yaml_nodes import FileError, Problem
from windvane.rollout.plan import Plan


@dataclass(frozen=True, slots=True)
class Place:
    """The two weights of a route: their nodes, and their sum."""

    base: ScalarNode
    canary: ScalarNode
    whole: int

    @property
    def weight(self) -> int:
        """The canary's percentage now."""
        return round(100 * int(self.canary.value) / self.whole) if self.whole else 0


def find(text: str, file: str, plan: Plan) -> list[Place]:
    """The routes of a canary; `NotFoundError` where there is none, `FileError` where one has no weights to change."""
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise FileError([Problem(file, 0, "", f"not YAML: {error}")]) from None
    found = [
        place
        for root in documents
        if root is not None and _is_of(root, plan)
        for route in _items(_get(_get(root, "spec"), "http"))
        if (place := _place(route, file, plan)) is not None
    ]
    if not found:
        raise NotFoundError(
            f"{file}: no VirtualService routes {plan.service}.{plan.namespace} "
            f"to the subsets {plan.baseline} and {plan.canary}"
        )
    return found


def changed(text: str, file: str, plan: Plan, weight: int) -> str:
    """The text with the canary at this percentage."""
    edits: list[tuple[ScalarNode, str]] = []
    for place in find(text, file, plan):
        share = place.whole * weight / 100 if place.whole else weight
        canary = min(place.whole or 100, max(int(weight > 0), round(share)))
        edits += [(place.canary, str(canary)), (place.base, str((place.whole or 100) - canary))]
    for node, value in sorted(edits, key=lambda edit: -edit[0].start_mark.index):
        text = text[: node.start_mark.index] + value + text[node.end_mark.index :]
    return text


def set_weight(path: Path, plan: Plan, weight: int) -> bool:
    """Change a file; whether anything changed. Readers see the old text or the new one, never half of it."""
    text = read_text(path)
    following = changed(text, str(path), plan, weight)
    if following == text:
        return False
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(following)
        Path(name).chmod(path.stat().st_mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return True


def _is_of(root: Node, plan: Plan) -> bool:
    spec, namespace = _get(root, "spec"), _text(_get(_get(root, "metadata"), "namespace")) or "default"
    if _text(_get(root, "kind")) != "VirtualService" or namespace != plan.namespace:
        return False
    return any(_is_service(_text(host), plan) for host in _items(_get(spec, "hosts"))) or any(
        _is_service(_text(_get(_get(target, "destination"), "host")), plan)
        for route in _items(_get(spec, "http"))
        for target in _items(_get(route, "route"))
    )


def _place(route: Node, file: str, plan: Plan) -> Place | None:
    targets: dict[str, Node] = {}
    for target in _items(_get(route, "route")):
        destination = _get(target, "destination")
        if _is_service(_text(_get(destination, "host")), plan):
            targets[_text(_get(destination, "subset"))] = target
    if not targets.keys() >= {plan.baseline, plan.canary}:
        return None
    nodes = [_weight(targets[name], file, name) for name in (plan.baseline, plan.canary)]
    return Place(nodes[0], nodes[1], sum(int(node.value) for node in nodes))


def _weight(target: Node, file: str, name: str) -> ScalarNode:
    node, line = _get(target, "weight"), target.start_mark.line + 1
    if not isinstance(node, ScalarNode):
        raise FileError([Problem(file, line, "weight", f"is missing at subset {name}: give both destinations one")])
    try:
        if int(node.value) < 0:
            raise ValueError
    except ValueError:
        raise BadInputError(f"{file}:{line}: weight: {node.value!r} is no weight") from None
    return node


def _is_service(host: str, plan: Plan) -> bool:
    parts = host.split(".")
    return parts[0] == plan.service and (len(parts) == 1 or parts[1] == plan.namespace)


def _get(node: Node | None, name: str) -> Node | None:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode) and key.value == name:
                return value  # type: ignore[no-any-return]
    return None


def _items(node: Node | None) -> Iterator[Node]:
    if isinstance(node, SequenceNode):
        yield from node.value


def _text(node: Node | None) -> str:
    return str(node.value) if isinstance(node, ScalarNode) else ""
