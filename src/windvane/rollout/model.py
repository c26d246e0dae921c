"""What a release is to do, whatever kind of object said so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from windvane.analytics.releases.judge import Settings

By = Literal["version", "workload"]
Strategy = Literal["steps", "match", "blue-green"]
RouteKind = Literal["VirtualService", "HTTPRoute"]
HookKind = Literal[
    "confirm-rollout",
    "pre-rollout",
    "rollout",
    "confirm-traffic-increase",
    "confirm-promotion",
    "post-rollout",
    "rollback",
    "event",
]
GATES: tuple[HookKind, ...] = ("confirm-rollout", "confirm-traffic-increase", "confirm-promotion")
"""What a release waits for; a person may open each, and one without a URL only a person can."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a version's requests go: a service, or a subset of it (of its DestinationRule)."""

    service: str
    subset: str = ""

    def __str__(self) -> str:
        return f"subset {self.subset} of {self.service}" if self.subset else f"service {self.service}"


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook: asked at its moment by POST; `timeout` in seconds, `retries` more tries. No `url`: a person's gate."""

    kind: HookKind
    name: str
    url: str
    timeout: float = 10.0
    retries: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Metric:
    """A PromQL query of one value, and the range it must lie in."""

    name: str
    query: str
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Affinity:
    """The cookie by which who has seen a version stays with it; `max_age` in seconds.

    `primary` is the cookie of those whom the baseline answered; it lasts an interval. `attributes` follow the value,
    as `; Path=/`.
    """

    name: str
    max_age: int = 86_400
    primary: str = ""
    attributes: str = ""


@dataclass(frozen=True, slots=True)
class Units:
    """What the units of an experiment did: a CSV file, its columns for the arm (`a`, `b`) and the unit ("": a row is
    one), metrics where higher or lower is better; `better`: one of them must be, otherwise none may be worse.
    """

    file: str
    arm: str
    unit: str
    a: str
    b: str
    higher: tuple[str, ...]
    lower: tuple[str, ...]
    weights: tuple[float, float]
    alpha: float
    better: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A release: names, weights of the canary in their order (percent), and seconds between looks and at a weight.

    After the last weight the canary is promoted (100) if it is proven safe; when `deadline` seconds are over before
    that, or it has regressed, it gets 0. `baseline` and `canary` are values of the label that `by` names. With
    `iterations` no weight is raised: the canary gets what matches (`match`), or nothing but copies (blue-green).
    `threshold` is how many checks may fail. `promotion_step` raises the weight to 100 in steps of so much. `notes`
    tell what the object says and nothing follows from.
    """

    name: str
    namespace: str
    service: str
    baseline: str
    canary: str
    steps: tuple[int, ...]
    interval: float
    hold: float
    deadline: float
    suspend: bool
    confirm: bool
    settings: Settings
    by: By = "version"
    targets: tuple[Target, Target] | None = None
    route_kind: RouteKind = "VirtualService"
    route_name: str = ""
    iterations: int = 0
    matches: tuple[str, ...] = ()
    """Alternatives, each an HTTPMatchRequest in JSON."""
    mirror: int = 0
    """Percent of requests that are copied to the canary before any is given to it; 0: none."""
    affinity: Affinity | None = None
    hooks: tuple[Hook, ...] = ()
    metrics: tuple[Metric, ...] = ()
    threshold: int = 1
    promotion_step: int = 0
    skip: bool = False
    units: Units | None = None
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """What marks in files call it."""
        return f"{self.namespace}/{self.name}"

    @property
    def strategy(self) -> Strategy:
        """How the canary gets requests."""
        if not self.iterations:
            return "steps"
        return "match" if self.matches else "blue-green"

    @property
    def routed(self) -> tuple[Target, Target]:
        """Where the requests of baseline and canary go."""
        if self.targets is not None:
            return self.targets
        if self.route_kind == "HTTPRoute":
            return Target(f"{self.service}-{self.baseline}"), Target(f"{self.service}-{self.canary}")
        return Target(self.service, self.baseline), Target(self.service, self.canary)

    @property
    def match(self) -> list[dict[str, Any]]:
        """Which requests the canary gets, as HTTPMatchRequests."""
        return [json.loads(one) for one in self.matches]

    @property
    def versions(self) -> str:
        """What makes it another release: which version is to follow which."""
        return f"{self.baseline} {self.canary}"

    def hooks_of(self, kind: HookKind) -> tuple[Hook, ...]:
        """The hooks of a kind, in their order."""
        return tuple(one for one in self.hooks if one.kind == kind)

    def question(self) -> dict[str, str]:
        """What the judge is asked: `service`, `baseline`, `canary`, `by`. Names of several services have commas."""
        names = dict.fromkeys((self.service, *(one.service for one in self.routed)))
        return {
            "service": f"{','.join(names)}.{self.namespace}",
            "baseline": self.baseline,
            "canary": self.canary,
            "by": self.by,
        }
