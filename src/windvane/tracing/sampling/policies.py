"""Tail-sampling policies, in the words of the OpenTelemetry Collector's tail_sampling processor.

    decision_wait: 30s
    policies:
      - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
      - {name: some, type: probabilistic, probabilistic: {sampling_percentage: 5}}

A trace is kept if a policy keeps it and no `drop` policy matches. `query` (the query bar's language) and `rare`
are Windvane's own. Every mistake is told with its line; a file with one is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from windvane.tracing.filters.ast import Expression


@dataclass(frozen=True, slots=True)
class Always:
    """Every trace."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Traces that take at least `least` ms; with `most` (not 0), longer than `least` and no longer than `most`."""

    least: int
    most: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """Traces with a span of one of these statuses (as stored)."""

    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Texts:
    """Traces where an attribute of a span or of its resource has one of these values, or a part that matches one."""

    key: str
    values: tuple[str, ...]
    regex: bool = False


@dataclass(frozen=True, slots=True)
class Numbers:
    """Traces where an attribute of a span or of its resource is a number within these bounds, both included."""

    key: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """Traces where an attribute of a span or of its resource is true, or false."""

    key: str
    value: bool


@dataclass(frozen=True, slots=True)
class State:
    """Traces with a span whose tracestate has a member `key` with one of these values."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SpanCount:
    """Traces of so many spans, both bounds included; `most` 0: any number."""

    least: int
    most: int = 0


@dataclass(frozen=True, slots=True)
class Query:
    """Traces with a span that satisfies this."""

    where: Expression


@dataclass(frozen=True, slots=True)
class Probabilistic:
    """This part of all traces, the same ones for every policy: by hash of their ids."""

    share: float


@dataclass(frozen=True, slots=True)
class RateLimiting:
    """As many traces as have no more spans a second, on average over a minute, chosen by hash."""

    spans: float


@dataclass(frozen=True, slots=True)
class Rare:
    """Of each combination of service, operation and status, so many traces a minute: all of a rare one."""

    traces: int


@dataclass(frozen=True, slots=True)
class Both:
    """Traces that every one of these keeps."""

    policies: tuple[Policy, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """Traces that every one of these matches are not kept, whatever else matches."""

    policies: tuple[Policy, ...]


@dataclass(frozen=True, slots=True)
class Composite:
    """Policies in order, each with its part (spans a second) of a common rate; what exceeds it goes to the next."""

    rate: float
    policies: tuple[Policy, ...]
    parts: tuple[float, ...]


Rule: TypeAlias = (
    Always | Latency | Status | Texts | Numbers | Truth | State | SpanCount | Query
    | Probabilistic | RateLimiting | Rare | Both | Drop | Composite
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Policy:
    """A named rule; `inverted` matches where the rule does not (string, numeric and boolean attributes only)."""

    name: str
    rule: Rule
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class TailSampling:
    """A whole file; times in seconds."""

    policies: tuple[Policy, ...]
    decision_wait: float = 30.0
    """A minute is decided so long after its end."""
    remove_every: float = 300.0
    """What is not kept is taken out so often: each time costs a rewrite of what is newest."""
    late: float = 600.0
    """Spans that come so much later follow their trace's decision; still later ones stay."""
    salt: str = ""
    """Part of the hash: servers with the same keep the same traces."""
    text: str = field(default="", compare=False)


def leaves(policies: Sequence[Policy]) -> list[Policy]:
    """Policies without those that hold others, but with what is in them."""
    found: list[Policy] = []
    for policy in policies:
        inner = getattr(policy.rule, "policies", None)
        found += [policy] if inner is None else leaves(inner)
    return found
