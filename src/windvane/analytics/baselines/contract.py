"""What baselines are asked and what they answer: scopes, readings of the newest minute, what was found odd."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from windvane.analytics.red import Incident, Signal
from windvane.analytics.seasonal import DAY

Kind = Literal["service", "version", "workload", "edge", "operation"]
KINDS: tuple[Kind, ...] = ("service", "edge", "version", "workload", "operation")
"""In the order in which they have a claim on the budget of scopes."""
ALARM = 6.5
"""Score from which on a departure is beyond chance: a tail of 3e-7. An alarm needs an effect as well."""
MOST_SCORE = 20.0


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """What is watched: a service, or a part of its traffic.

    `namespace` and `service` are Istio's (`destination_service_namespace`, `destination_service_name`); `detail` is
    the version, the workload, the caller as NAME.NAMESPACE (kind edge), or the operation's span name; empty for a
    service. An operation's service and namespace are those in the spans' `service.name`, NAME.NAMESPACE.
    """

    kind: Kind
    namespace: str
    service: str
    detail: str = ""

    @property
    def name(self) -> str:
        """NAME.NAMESPACE of the service."""
        return f"{self.service}.{self.namespace}" if self.namespace else self.service

    def __str__(self) -> str:
        """As people read it: `v2 of reviews.shop`, `front.shop -> reviews.shop`."""
        if self.kind == "edge":
            return f"{self.detail} -> {self.name}"
        return f"{self.detail} of {self.name}" if self.detail else self.name


@dataclass(frozen=True, slots=True)
class Reading:
    """One signal of a scope in the newest minute `at` (Unix seconds, the minute's end).

    `seen`, `expected` and the band `low` to `high` are requests a minute, milliseconds (95th percentile), or the
    share of requests that failed (expected: what usually fails, or the objective's budget if that is more). Outside of
    the band, for some minutes, it alarms.
    None is unknown: no requests, no samples, or nothing learnt yet. `score` is -log10 of the tail probability of the
    strongest window that ends now, 0 to 20, and means the same for every scope and signal.
    """

    scope: Scope
    signal: Signal
    at: int
    score: float
    seen: float | None
    expected: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Found:
    """A signal of a scope that is or was odd. `expected` and `seen` are means over its odd minutes, in the units of
    `Reading`; `score` is the largest of them."""

    scope: Scope
    incident: Incident
    expected: float | None
    seen: float | None
    score: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """What `advance` found: incidents that are open or ended within the last hour, by their start, and a reading for
    every scope and signal seen in the newest minute."""

    at: int
    found: list[Found] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """`slo` is the share of requests that must not fail; `days` are learnt from when nothing was kept; `scopes` is
    the most that are watched at a time: services first, then the busiest of each kind."""

    slo: float = 0.999
    days: int = 14
    scopes: int = 6_000
    kinds: tuple[Kind, ...] = KINDS

    def __post_init__(self) -> None:
        if not 0 < self.slo < 1:
            raise ValueError(f"slo {self.slo}: expected a share between 0 and 1, as 0.999")
        if self.days < 1 or self.scopes < 1:
            raise ValueError(f"days {self.days} and scopes {self.scopes} must be 1 or more")


@dataclass(frozen=True, slots=True)
class Watched:
    """How much is watched: scopes of each kind, how many of each were left out for the budget, and since when
    (Unix seconds) telemetry has been known, up to the last minute that was judged."""

    scopes: dict[Kind, int]
    cut: dict[Kind, int]
    since: int | None
    last: int | None

    @property
    def days(self) -> float:
        """How long telemetry has been known."""
        return (self.last - self.since) / DAY if self.since is not None and self.last is not None else 0.0


class StateError(Exception):
    """A kept state that cannot be used: its message says why. The remedy is to learn anew."""
