"""Which rule of which VirtualService a request took, told apart even where rules have no names or the same.

Envoy tells the name of a route alone. For a trial every rule is given a name of its own, and what is told
of it is read back; names change nothing of what routes do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from windvane.mesh.gateway_api.semantics import TranslatedRoutes
from windvane.mesh.models import VirtualService
from windvane.mesh.view import MeshView

_MARK = "route#"


@dataclass(frozen=True, slots=True)
class Rule:
    """An HTTP rule of a VirtualService (its place is that among the rules in force, with delegates' in place), or of a
    route of Gateway API; its name if any."""

    resource: str
    index: int
    name: str
    file: str
    line: int
    field: str = "http"

    @property
    def label(self) -> str:
        """What it is called: its name, else its place."""
        return self.name or f"{self.field}[{self.index}]"


@dataclass(frozen=True, slots=True)
class RouteNames:
    """The rules of a view by the names that Envoy has for them."""

    rules: Mapping[str, Rule]

    def rule(self, told: str) -> Rule | None:
        """The rule of a route that Envoy told; None for one that is of no VirtualService."""
        return self.rules.get(told.partition(".")[0])

    def name(self, told: str) -> str:
        """The route's name as the configuration has it: the rule's, with that of its match."""
        mark, dot, match = told.partition(".")
        rule = self.rules.get(mark)
        return told if rule is None else f"{rule.name}{dot}{match}"


def with_own_names(view: MeshView) -> tuple[MeshView, RouteNames]:
    """The view with a name of its own for every HTTP rule, and what they mean."""
    rules: dict[str, Rule] = {}
    services = tuple(_renamed(item, rules) for item in view.virtual_services)
    return replace(view, virtual_services=services), RouteNames(rules)


def _renamed(item: VirtualService, rules: dict[str, Rule]) -> VirtualService:
    made = []
    for index, route in enumerate(item.spec.http):
        mark = f"{_MARK}{len(rules)}"
        rules[mark] = _rule(item, index)
        made.append(route.model_copy(update={"name": mark}))
    return item.model_copy(update={"spec": item.spec.model_copy(update={"http": tuple(made)})})


def _rule(item: VirtualService, index: int) -> Rule:
    """A rule and its place. Those of Gateway API stand in one VirtualService for each host and listener."""
    name = item.spec.http[index].name
    if isinstance(item, TranslatedRoutes):
        origin = item.origins[index]
        return Rule(origin.reference, origin.rule, name, origin.file, origin.line, "rules")
    return Rule(item.reference, index, name, item.file, item.line)
