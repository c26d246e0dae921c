"""A route of a release in a file: its destinations, their weights, and who is who among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from windvane.kit.errors import BadInputError
from windvane.kit.yaml_nodes import FileError, Problem
from windvane.rollout.model import Plan, Target
from windvane.rollout.parts import cookie_pattern, literal
from windvane.rollout.yaml_edit import get, items


@dataclass(frozen=True, slots=True)
class Place:
    """A route in the list it stands in; `targets` are its destinations, `nodes` their weights (None: not given),
    `pair` says which two are baseline and canary.
    """

    list: SequenceNode
    route: MappingNode
    targets: tuple[MappingNode, ...]
    nodes: tuple[ScalarNode | None, ...]
    pair: tuple[int, int]

    @property
    def weights(self) -> tuple[int, ...]:
        """What each destination has now."""
        return tuple(int(node.value) if node is not None else 0 for node in self.nodes)

    @property
    def weight(self) -> int:
        """The canary's percentage now, of what it and the baseline have."""
        base, canary = (self.weights[at] for at in self.pair)
        return round(100 * canary / (base + canary)) if base + canary else 0

    @property
    def canary(self) -> MappingNode:
        """The canary's destination."""
        return self.targets[self.pair[1]]

    @property
    def base(self) -> MappingNode:
        """The baseline's."""
        return self.targets[self.pair[0]]


GoesTo = Callable[[MappingNode, Target, Plan], bool]


def routes_of(list_: Node | None, field: str, goes_to: GoesTo, *, file: str, plan: Plan) -> Iterator[Place]:
    """The routes of a list with both versions among their destinations, which stand in `field`."""
    if not isinstance(list_, SequenceNode):
        return
    for route in items(list_):
        targets = [one for one in items(get(route, field)) if isinstance(one, MappingNode)]
        base, canary = (
            next((at for at, one in enumerate(targets) if goes_to(one, to, plan)), None) for to in plan.routed
        )
        if isinstance(route, MappingNode) and base is not None and canary is not None:
            yield _place_of(list_, route, targets, (base, canary), file=file, plan=plan)


def _place_of(
    list_: SequenceNode,
    route: MappingNode,
    targets: Sequence[MappingNode],
    pair: tuple[int, int],
    *,
    file: str,
    plan: Plan,
) -> Place:
    """A route with its weights; `FileError` where the two have none, `BadInputError` for what is no weight."""
    nodes = [_weight(target, file) for target in targets]
    for at, name in zip(pair, plan.routed, strict=True):
        if nodes[at] is None:
            word = f"subset {name.subset}" if name.subset else str(name)
            message = f"is missing at {word}: give both destinations one"
            raise FileError([Problem(file, targets[at].start_mark.line + 1, "weight", message)])
    return Place(list_, route, tuple(targets), tuple(nodes), pair)


def _weight(target: MappingNode, file: str) -> ScalarNode | None:
    node = get(target, "weight")
    if not isinstance(node, ScalarNode):
        return None
    try:
        if int(node.value) < 0:
            raise ValueError
    except ValueError:
        line = target.start_mark.line + 1
        raise BadInputError(f"{file}:{line}: weight: {node.value!r} is no weight") from None
    return node


def is_service(host: str, name: str, namespace: str) -> bool:
    """Whether a host, as written in the namespace, is this service of it."""
    parts = host.split(".")
    return parts[0] == name and (len(parts) == 1 or parts[1] == namespace)


def cookies(plan: Plan, value: str) -> list[tuple[bool, str, str]]:
    """The cookies of a release: whether the canary's, the pattern of a header that has it, and how it is set."""
    affinity = plan.affinity
    if affinity is None or not value:
        return []
    set_ = f"{affinity.name}={value}; Max-Age={affinity.max_age}{affinity.attributes}"
    found = [(True, cookie_pattern(affinity.name, literal(value)), set_)]
    if affinity.primary:
        age = max(1, round(plan.interval))
        set_ = f"{affinity.primary}={value}; Max-Age={age}{affinity.attributes}"
        found.append((False, cookie_pattern(affinity.primary, literal(value)), set_))
    return found


def both(one: dict[str, Any], other: dict[str, Any], route: Node, file: str) -> dict[str, Any]:
    """A match that needs both; `BadInputError` where they ask for two things of one."""
    merged = dict(one)
    for name, value in other.items():
        mine = merged.get(name)
        if isinstance(mine, dict) and isinstance(value, dict) and name in _MAPS:
            for key in mine.keys() & value.keys():
                if mine[key] != value[key]:
                    raise _clash(file, route, f"{name}.{key}")
            merged[name] = {**mine, **value}
        elif mine is not None and mine != value:
            raise _clash(file, route, name)
        else:
            merged[name] = value
    return merged


_MAPS = ("headers", "withoutHeaders", "sourceLabels", "queryParams")


def _clash(file: str, route: Node, name: str) -> BadInputError:
    line = route.start_mark.line + 1
    return BadInputError(f"{file}:{line}: the route and the release both match by {name}: they cannot be joined")
