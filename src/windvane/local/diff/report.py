"""What a comparison found: requests that are treated differently, weighted by how often each was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from windvane.local.diff.compare import BROKEN, Difference, differences
from windvane.local.diff.distinct import Distinct, Plan
from windvane.local.diff.run import Answer
from windvane.local.diff.structure import Structure
from windvane.local.trial.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Change:
    """A distinct request that is treated differently."""

    request: Distinct
    old: Answer
    new: Answer
    differences: tuple[Difference, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """What differs, each kind once."""
        return tuple(dict.fromkeys(each.kind for each in self.differences))

    @property
    def breaks(self) -> bool:
        """Whether requests that were served are not any more."""
        worse = _failing(self.new) > _failing(self.old) + 1e-9
        return worse and any(each.kind in BROKEN or each.kind == "fault" for each in self.differences)


@dataclass(frozen=True, slots=True)
class Report:
    """All changes, the most frequent first; `total` and `changed` count recorded requests, `distinct` those told apart.

    `structure` is how the configuration of proxies differs, where that was asked for.
    """

    plan: Plan
    changes: tuple[Change, ...]
    left_out: Counter[str]
    total: int
    distinct: int
    structure: Structure | None = None

    @property
    def is_same(self) -> bool:
        """Whether nothing at all differs."""
        other = self.structure
        return not self.changes and not (other and (other.resources or other.added or other.removed))

    @property
    def changed(self) -> int:
        """How many recorded requests are treated differently."""
        return sum(each.request.count for each in self.changes)

    @property
    def share(self) -> float:
        """The part of all that were asked; 0 where there were none."""
        return self.changed / self.total if self.total else 0.0

    def by_kind(self) -> Counter[str]:
        """Recorded requests by what differs; one may differ in several ways."""
        found: Counter[str] = Counter()
        for each in self.changes:
            found.update(dict.fromkeys(each.kinds, each.request.count))
        return found


def report(plan: Plan, old: Sequence[Answer], new: Sequence[Answer], structure: Structure | None = None) -> Report:
    """Compare answers to the requests of a plan; those that neither configuration can be asked are left out."""
    changes, left_out = [], Counter(plan.left_out)
    distinct, total = plan.alike
    for request, before, after in zip(plan.requests, old, new, strict=True):
        if before.refused and after.refused:
            left_out[after.refused] += request.count
            continue
        total, distinct = total + request.count, distinct + 1
        found = differences(before, after)
        if found:
            changes.append(Change(request, before, after, tuple(found)))
    return Report(
        plan, tuple(sorted(changes, key=lambda each: -each.request.count)), left_out, total, distinct, structure
    )


def _failing(answer: Answer) -> float:
    """The share of requests that are not served."""
    if answer.refused:
        return 1.0
    total = sum(each.count for each in answer.ways)
    return sum(each.count for each in answer.ways if _fails(each)) / total if total else 0.0


def _fails(each: Outcome) -> bool:
    return bool(each.failure) or each.status >= 400 or each.grpc_status not in ("", "0")
