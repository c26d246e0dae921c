"""Which rule of which VirtualService a request took, told apart even where rules have no names or the same.

Envoy tells the name of a route alone. For a trial rules whose names do not tell them apart are given others, and
what is told of them is read back; names change nothing of what routes do, and those that tell are left for
EnvoyFilters to find.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from windvane.mesh.gateway_api.semantics import TranslatedRoutes
from windvane.mesh.models import EnvoyFilter, VirtualService
from windvane.mesh.view import MeshView

_MARK = "route#"
_TAKEN = ("", "default")
"""No name, and the one that routes without a rule have."""


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
        return self.rules.get(self._key(told))

    def name(self, told: str) -> str:
        """The route's name as the configuration has it: the rule's, with that of its match."""
        key = self._key(told)
        rule = self.rules.get(key)
        return told if rule is None else rule.name + told[len(key) :]

    def _key(self, told: str) -> str:
        """The rule's part of a name that a match's may follow, behind a dot."""
        while told and told not in self.rules:
            told = told.rpartition(".")[0]
        return told


def with_own_names(view: MeshView) -> tuple[MeshView, RouteNames]:
    """The view with names that tell all HTTP rules apart, and what they mean."""
    named: dict[str, set[Rule]] = {}
    for item in view.virtual_services:
        for index, route in enumerate(item.spec.http):
            named.setdefault(route.name, set()).add(_rule(item, index))
    sought = {name for item in view.envoy_filters for name in _sought(item)}
    telling = {name for name, rules in named.items() if name not in _TAKEN and (len(rules) == 1 or name in sought)}
    rules: dict[str, Rule] = {}
    services = tuple(_renamed(item, telling, rules) for item in view.virtual_services)
    return replace(view, virtual_services=services), RouteNames(rules)


def _sought(item: EnvoyFilter) -> Iterator[str]:
    """Names of routes that an EnvoyFilter looks for."""
    for patch in item.spec.config_patches:
        where = patch.match.route_configuration if patch.match else None
        if where and where.vhost and where.vhost.route and where.vhost.route.name:
            yield where.vhost.route.name


def _renamed(item: VirtualService, telling: set[str], rules: dict[str, Rule]) -> VirtualService:
    made = []
    for index, route in enumerate(item.spec.http):
        name = route.name if route.name in telling else f"{_MARK}{len(rules)}"
        rules[name] = _rule(item, index)
        made.append(route.model_copy(update={"name": name}))
    return item.model_copy(update={"spec": item.spec.model_copy(update={"http": tuple(made)})})


def _rule(item: VirtualService, index: int) -> Rule:
    """A rule and its place. Those of Gateway API stand in one VirtualService for each host and listener."""
    name = item.spec.http[index].name
    if isinstance(item, TranslatedRoutes):
        origin = item.origins[index]
        return Rule(origin.reference, origin.rule, name, origin.file, origin.line, "rules")
    return Rule(item.reference, index, name, item.file, item.line)
