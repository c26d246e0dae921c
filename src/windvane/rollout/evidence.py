"""What a release's verdict rests on: the counts of its two versions since it began, read and judged in one process."""

from __future__ import annotations

from dataclasses import dataclass

from windvane.analytics.releases.counts import Counts
from windvane.analytics.releases.judge import Judgement, Settings, judge
from windvane.analytics.releases.read import AskRange, Question, read_counts
from windvane.rollout.machine import Found
from windvane.rollout.model import Plan

_MS = 1_000


@dataclass(frozen=True, slots=True)
class Examined:
    """A verdict with its question and counts; `at` is when, in seconds since the epoch."""

    at: float
    question: Question
    counts: Counts
    judgement: Judgement
    settings: Settings

    @property
    def found(self) -> Found:
        """What the release's next step depends on."""
        return Found(self.judgement.verdict, self.judgement.reasons, traffic=bool(self.judgement.findings))


def examine(ask: AskRange, plan: Plan, start: float, end: float) -> Examined:
    """Judge a release from a start to an end (seconds since the epoch); `NotFoundError` where nothing was counted."""
    asked = plan.question()
    question = Question(asked["service"], plan.baseline, plan.canary, int(start * _MS), int(end * _MS), plan.by)
    counts = read_counts(ask, question)
    return Examined(end, question, counts, judge(counts, plan.settings), plan.settings)
