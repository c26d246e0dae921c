"""What a scenario claims to show, and whether telemetry says so: a scenario's `claims.yaml`, judged. Pure.

title: Load balancing and faults
claims:
  - claim: every third request goes to each instance
    shows: ROUND_ROBIN
    promql: min(x) / max(x)                  # one number: the sum of what the query returns
    expect: {at_least: 0.9}
    enough: {promql: sum(x), at_least: 45}   # not judged before
  - claim: a user is always served by the same instance
    traceql: "{ … } | count_over_time() by (span.user, span.node_id)"
    most: {different: node_id, per: user}    # the most values of one label that one value of another comes with
    expect: {at_most: 1}
  - claim: an instance is ejected and comes back
    logs: node_id:*sick-v1*
    returns: {after: 0.8}                    # seconds without a line, after failures and before a success
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from windvane.kit.errors import BadInputError

FILE = "claims.yaml"
Verdict = Literal["holds", "fails", "too few"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Bounds(_Strict):
    """The values that are right."""

    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _some(self) -> Bounds:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least, at_most or both")
        return self

    def holds(self, value: float) -> bool:
        low = -math.inf if self.at_least is None else self.at_least
        return low <= value <= (math.inf if self.at_most is None else self.at_most)

    def __str__(self) -> str:
        if self.at_least is not None and self.at_most is not None:
            return f"{self.at_least:g} to {self.at_most:g}"
        return f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"


class Enough(_Strict):
    """How much must have been seen before a claim is judged."""

    promql: str
    at_least: float = Field(gt=0)


class Most(_Strict):
    """Two labels of a TraceQL result: how many values of one come with one value of the other, at most."""

    different: str
    per: str


class Returns(_Strict):
    """Failures, then nothing for so many seconds, then a success."""

    after: float = Field(gt=0)


class Claim(_Strict):
    """One thing that a scenario shows, how to ask telemetry for it and what the answer must be."""

    claim: str
    shows: str
    promql: str | None = None
    traceql: str | None = None
    logs: str | None = None
    most: Most | None = None
    returns: Returns | None = None
    expect: Bounds | None = None
    enough: Enough | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Claim:
        if sum(way is not None for way in (self.promql, self.traceql, self.logs)) != 1:
            raise ValueError("give exactly one of promql, traceql, logs")
        if (self.traceql is None) != (self.most is None) or (self.logs is None) != (self.returns is None):
            raise ValueError("traceql goes with most, logs with returns")
        if (self.expect is None) != (self.returns is not None):
            raise ValueError("expect says what value is right (returns says it itself)")
        return self

    @property
    def query(self) -> str:
        return self.promql or self.traceql or self.logs or ""

    @property
    def expected(self) -> str:
        return str(self.expect) if self.expect else "failures, a pause, successes"


class Claims(_Strict):
    """A whole file."""

    title: str
    about: str = ""
    claims: tuple[Claim, ...] = Field(min_length=1)
    rate: float = Field(default=50.0, gt=0)
    """Requests a second that verification sends."""

    @classmethod
    def load(cls, path: Path) -> Claims:
        """Read a file; BadInputError names it and every wrong field."""
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
        except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
            raise BadInputError(f"{path}: {error}") from None
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise BadInputError(f"{path}: {wrong}") from None


@dataclass(frozen=True, slots=True)
class Line:
    """An access-log entry: seconds since the epoch, and whether the request failed."""

    time: float
    failed: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim with what was seen."""

    claim: Claim
    seen: str
    verdict: Verdict


def judged(claim: Claim, value: float | None, seen: float | None = None) -> Judged:
    """Judge a value (None: there is no answer yet); `seen` is what `enough` asks for."""
    assert claim.expect is not None
    few = claim.enough is not None and (seen is None or seen < claim.enough.at_least)
    if value is None or math.isnan(value) or few:
        return Judged(claim, "-" if value is None or math.isnan(value) else f"{value:.3g}", "too few")
    return Judged(claim, f"{value:.3g}", "holds" if claim.expect.holds(value) else "fails")


def judged_lines(claim: Claim, lines: Sequence[Line]) -> Judged:
    """Judge a claim of `returns`; too few lines when it has not happened yet."""
    assert claim.returns is not None
    pause = longest_return(lines)
    if pause is None:
        return Judged(claim, f"{len(lines)} lines", "too few")
    holds = pause >= claim.returns.after
    return Judged(claim, f"back after {pause:.1f} s", "holds" if holds else "too few")


def longest_return(lines: Sequence[Line]) -> float | None:
    """Seconds of the longest pause between a failure and the success that follows it; None where there is none."""
    ordered = sorted(lines, key=lambda line: line.time)
    pauses = [second.time - first.time for first, second in pairwise(ordered) if first.failed and not second.failed]
    return max(pauses, default=None)


def most_different(series: Sequence[Mapping[str, str]], most: Most) -> float | None:
    """The most values of a label that come with one value of another; None where no series has both."""
    found: dict[str, set[str]] = defaultdict(set)
    for labels in series:
        if most.per in labels and most.different in labels:
            found[labels[most.per]].add(labels[most.different])
    return float(max(map(len, found.values()))) if found else None
