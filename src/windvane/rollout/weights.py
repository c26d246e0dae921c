"""Routes of a release in files, changed in place: weights, and what is put in around them while the release goes on.

Every route that has a destination of each of the two versions is a route of the canary. The two share what their
weights were together; other destinations keep their shares: w_i = v_i / Σ v_j. Where the sum of the two cannot be
divided as a step needs it (1 and 0), all weights of the route grow by one factor until the end. Nothing else that
stands in the file changes, so that comments and order stay; a rolled back release leaves the file as it was.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from yaml.nodes import Node

from windvane.kit.errors import BadInputError, NotFoundError
from windvane.kit.strict_yaml import read_text
from windvane.kit.yaml_nodes import FileError, Problem
from windvane.mesh.files import expand
from windvane.rollout import http_routes, virtual_services
from windvane.rollout.machine import Shape, State, shape
from windvane.rollout.model import Plan
from windvane.rollout.places import Place
from windvane.rollout.yaml_edit import Edit, Marks, applied, before_item, compose, get, items, text_of

_KINDS = {"VirtualService": virtual_services, "HTTPRoute": http_routes}
_BOM = "\ufeff"
_WERE = "weights of route"
_NEARLY = 0.1
"""How far from the share that is wanted the canary's may lie, as a part of it (of all: a twentieth of this)."""
_MOST_WEIGHT = 1_000_000
"""Gateway API's bound; Istio's lies above."""


def find(text: str, file: str, plan: Plan) -> list[Place]:
    """The routes of a canary; `NotFoundError` where there is none, `FileError` where one has no weights to change."""
    kind = _KINDS[plan.route_kind]
    found = [
        place
        for document in compose(text.removeprefix(_BOM), file)
        for root in _objects(document)
        if text_of(get(root, "kind")) == plan.route_kind
        and (text_of(get(root, "metadata", "namespace")) or "default") == plan.namespace
        and (not plan.route_name or text_of(get(root, "metadata", "name")) == plan.route_name)
        for place in kind.places(root, file, plan)
    ]
    if not found:
        raise NotFoundError(f"{file}: {_nothing(plan)}")
    return found


def locate(path: Path, plan: Plan) -> Path:
    """The file that routes a release: the path itself, or the one in the folder.

    `NotFoundError` where none in it does, `BadInputError` where several do.
    """
    if not path.is_dir():
        return path
    found: list[Path] = []
    broken: list[Problem] = []
    for file in map(Path, expand(path)):
        try:
            text = read_text(file)
            if _may_route(text, plan):
                find(Marks(plan.id).without(text, str(file))[0], str(file), plan)
                found.append(file)
        except NotFoundError:
            continue
        except FileError as error:
            broken += error.problems
    if len(found) > 1:
        raise BadInputError(
            f"{' and '.join(map(str, found))} all route {plan.service}.{plan.namespace} to both versions: "
            f"name the one with spec.routeRef"
        )
    if not found and broken:
        raise FileError(broken)
    if not found:
        raise NotFoundError(f"{path}: {_nothing(plan)} in any file")
    return found[0]


def changed(text: str, file: str, plan: Plan, wanted: int | Shape) -> str:
    """The text with the canary at this percentage, and with whatever else a shape needs."""
    wanted = Shape(wanted) if isinstance(wanted, int) else wanted
    marks = Marks(plan.id)
    bom = _BOM if text.startswith(_BOM) else ""
    text, notes = marks.without(text.removeprefix(_BOM), file)
    edits: list[Edit] = []
    is_json = Path(file).suffix == ".json"
    if is_json and Shape(wanted.weight) != wanted:
        raise BadInputError(f"{file}: copies, matches and cookies are put in between comments, and JSON has none: "
                            "write the routes as YAML")  # fmt: skip
    for number, place in enumerate(find(text, file, plan)):
        weights, factor = divided(place, _before(place, notes, number), wanted.weight, grow=not is_json)
        note = f"({_WERE} {number}: {' '.join(map(str, weights.before))})" if factor > 1 else ""
        edits += _numbers(place, weights.now)
        news = _KINDS[plan.route_kind].added(place, file, plan, wanted, number)
        if news or note:
            edits.append(before_item(text, marks, place.list, place.route, news=news, note=note))
        edits += _KINDS[plan.route_kind].within(text, marks, place, file=file, plan=plan, wanted=wanted)
    return bom + applied(text, edits)


def apply(path: Path, plan: Plan, state: State) -> bool:
    """Bring a file to what a state needs; whether anything changed. The same again changes nothing."""
    return _rewrite(path, plan, shape(plan, state))


def set_weight(path: Path, plan: Plan, weight: int) -> bool:
    """Set the canary's weight alone; whether anything changed."""
    return _rewrite(path, plan, Shape(weight))


class _Weights:
    """Weights of a route's destinations, in their order: as people wrote them, and as they are to be."""

    __slots__ = ("before", "now")

    def __init__(self, before: Sequence[int], now: Sequence[int]) -> None:
        self.before, self.now = tuple(before), tuple(now)


def divided(place: Place, before: Sequence[int], weight: int, *, grow: bool = True) -> tuple[_Weights, int]:
    """The weights with the canary at a percentage of what it and the baseline have, and the factor of all."""
    base, canary = place.pair
    whole = before[base] + before[canary] or 100
    factor = _factor(whole, weight) if grow else 1
    if max(whole, *before) * factor > _MOST_WEIGHT:
        factor = 1
    share = whole * factor * weight / 100
    own = min(whole * factor, max(int(weight > 0), round(share)))
    now = [one * factor for one in before]
    now[base], now[canary] = whole * factor - own, own
    return _Weights(before, now), factor


def _factor(whole: int, weight: int) -> int:
    """By what weights must grow for a share of their sum: not at all for one that is hit nearly."""
    share = whole * weight / 100
    away = abs(round(share) - share)
    if weight in (0, 100) or away <= min(share * _NEARLY, whole * _NEARLY / 20):
        return 1
    return 100 // whole if 100 % whole == 0 else 100 // math.gcd(100, whole * weight)


def _before(place: Place, notes: Sequence[str], number: int) -> tuple[int, ...]:
    """The weights as people wrote them: those of the note, unless somebody changed them since."""
    now = place.weights
    note = next((one for one in notes if one.startswith(f"({_WERE} {number}: ")), None)
    if note is None:
        return now
    try:
        before = tuple(int(part) for part in note.strip("()").partition(": ")[2].split())
    except ValueError:
        return now
    base, canary = place.pair
    if len(before) != len(now) or not before[base] + before[canary]:
        return now
    factor, rest = divmod(now[base] + now[canary], before[base] + before[canary])
    others = [at for at in range(len(now)) if at not in place.pair]
    return now if rest or any(now[at] != before[at] * factor for at in others) else before


def _numbers(place: Place, weights: Sequence[int]) -> Iterator[Edit]:
    for node, now, weight in zip(place.nodes, place.weights, weights, strict=True):
        if now != weight:
            assert node is not None  # one without a weight counts as nothing, and stays so
            yield Edit(node.start_mark.index, node.end_mark.index, str(weight))


def _may_route(text: str, plan: Plan) -> bool:
    """Whether a text has the words that a route of the release needs: parsing every file of a mesh takes long."""
    words = {word for target in plan.routed for word in (target.service, target.subset)}
    return plan.route_kind in text and all(word in text for word in words)


def _objects(document: Node) -> Iterator[Node]:
    """The objects of a document; those of a List are its items."""
    if text_of(get(document, "kind")).endswith("List"):
        yield from items(get(document, "items"))
    else:
        yield document


def _nothing(plan: Plan) -> str:
    base, canary = plan.routed
    named = f"{plan.route_kind} {plan.route_name}" if plan.route_name else plan.route_kind
    if base.subset:
        return f"no {named} routes {plan.service}.{plan.namespace} to the subsets {base.subset} and {canary.subset}"
    return f"no {named} of {plan.namespace} routes to the services {base.service} and {canary.service}"


def _rewrite(path: Path, plan: Plan, wanted: Shape) -> bool:
    text = read_text(path)
    following = changed(text, str(path), plan, wanted)
    if following == text:
        return False
    write(path, following)
    return True


def write(path: Path, text: str) -> None:
    """Replace a file. Readers see the old text or the new one, never half of it; a link stays one."""
    path = path.resolve()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            Path(name).chmod(path.stat().st_mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
