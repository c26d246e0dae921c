"""What routes under `/api/windvane/v1/analytics` answer."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

VerdictWord = Literal["regress", "safe", "more traffic needed"]


class CanaryFinding(BaseModel):
    """One thing watched. `harm` and `safety` are e-values (evidence against "not worse" and "not within the margin");
    `change` with its always-valid interval is a ratio of shares, or for the typical time a shift in normal scores.
    `clump` is how many events come together; `minutes` how much longer until decided, null: not at this traffic."""

    name: str
    verdict: VerdictWord
    harm: float
    safety: float
    base: float | None
    canary: float | None
    unit: str
    change: float | None
    low: float | None
    high: float | None
    clump: float
    minutes: float | None
    text: str


class PodCounts(BaseModel):
    """Requests and errors of one pod of one version."""

    version: str
    pod: str
    requests: float
    errors: float


class KayentaMetric(BaseModel):
    """A metric as Kayenta's judge would classify it; `ratio` is that of means."""

    name: str
    label: str
    ratio: float | None


class KayentaScore(BaseModel):
    """Kayenta's score of the same minutes, for comparison."""

    score: float
    label: str
    metrics: list[KayentaMetric]


class CanaryVerdict(BaseModel):
    """The verdict on a canary. `evidence` is the e-value of harm over all findings: 1/alpha proves it. `split` is the
    p-value of the division of traffic where weights were given; `minimum` the canary's requests that prove an equally
    good one safe; `minutes` how much longer it may take (null: not at this traffic)."""

    service: str
    baseline: str
    canary: str
    start: float
    end: float
    verdict: VerdictWord
    reasons: list[str]
    evidence: float
    needed: float
    findings: list[CanaryFinding]
    pods: list[PodCounts]
    split: float | None
    minimum: int | None
    minutes: float | None
    kayenta: KayentaScore
    queries: list[str]
