"""What becomes of incidents from minute to minute: opened, grown, over, odd again. No store, no clock.

An anomaly that goes on stays with its incident; one that is new joins what it belongs to along the calls, or opens an
incident. Two that turn out to be one are joined in the older. Quiet for `QUIET` ends one; odd again within `REOPEN`,
it is the same one. So ids are stable: an incident is told once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from windvane.analytics.baselines import Scope
from windvane.analytics.red import Signal
from windvane.incidents.grouping import Calls, belongs, grouped, ordered
from windvane.incidents.tolerance import Tolerances
from windvane.incidents.values import Anomaly, Event, Feedback, Incident, Verdict
from windvane.incidents.words import named, severity, title

QUIET = 5 * 60
"""Seconds without anything odd after which an incident is over."""
REOPEN = 30 * 60
"""Seconds after its end within which the same oddness is the same incident."""
MOST_PARTS = 200
MOST_EVENTS = 200
_NAMED = 4


class Tracker:
    """Incidents that go on, or ended lately enough to go on again. `incidents` is by id."""

    def __init__(self, known: Iterable[Incident] = (), tolerances: Tolerances | None = None) -> None:
        self.incidents = {one.id: one for one in known}
        self.tolerances = tolerances or Tolerances()

    def step(self, at: int, found: Sequence[Anomaly], calls: Calls) -> set[str]:
        """Take what was odd up to `at` (now, or lately); ids of incidents that changed."""
        before = dict(self.incidents)
        calls = calls.also(found)
        self._forget(at)
        fresh = [one for one in found if not self._goes_on(at, one) and at - one.end < QUIET]
        for group in grouped([one for one in fresh if not self.tolerances.allows(one, at)], calls):
            self._place(at, group, calls)
        seen = {one.key for one in found}
        for one in [each for each in self.incidents.values() if each.open]:
            self._age(at, one, seen)
        for one in [each for each in self.incidents.values() if each.open]:
            if one is not before.get(one.id):
                self._retitle(at, one, calls)
        return {key for key, one in self.incidents.items() if one is not before.get(key)}

    def open(self) -> list[Incident]:
        """Those that go on, by when they were noticed."""
        return sorted((one for one in self.incidents.values() if one.open), key=lambda one: (one.opened, one.id))

    def said(self, one: Incident, verdict: Verdict | None, note: str, at: int) -> Incident:
        """The incident with what a person said of it (None takes it back); "not-an-anomaly" ends it."""
        feedback = Feedback(verdict, note, at) if verdict else None
        words = {"not-an-anomaly": "said to be no anomaly", "confirmed": "confirmed", None: "feedback taken back"}
        said = _noted(replace(one, feedback=feedback), at, words[verdict] + (f": {note}" if note else ""))
        if said.silenced and said.open:
            said = _ended(said)
        if said.id in self.incidents:
            self.incidents[said.id] = said
        return said

    def _forget(self, at: int) -> None:
        for key, one in list(self.incidents.items()):
            if one.end is not None and at - one.end > REOPEN:
                del self.incidents[key]

    def _goes_on(self, at: int, found: Anomaly) -> bool:
        """Whether an incident has this anomaly already, which then learns how it went on."""
        for one in self._candidates():
            for place, known in enumerate(one.anomalies):
                if known.key == found.key and found.start - one.last <= REOPEN:
                    if one.open or (found.end > one.last and not self.tolerances.allows(found, at)):
                        parts = (*one.anomalies[:place], _longer(known, found), *one.anomalies[place + 1 :])
                        if parts != one.anomalies:
                            self.incidents[one.id] = replace(_again(at, one, (found,)), anomalies=parts)
                    return True
        return False

    def _candidates(self) -> list[Incident]:
        """Those that may go on, the open and the older first."""
        known = (one for one in self.incidents.values() if not one.silenced and not one.joined)
        return sorted(known, key=lambda one: (not one.open, one.opened, one.id))

    def _place(self, at: int, group: tuple[Anomaly, ...], calls: Calls) -> None:
        """New anomalies that belong together: to the incident they are a part of, or to one of their own."""
        holders = [one for one in self._candidates() if any(belongs(part, one.anomalies, calls) for part in group)]
        if not holders:
            self._begin(at, group)
            return
        first, *others = holders
        parts = [*first.anomalies, *group]
        for other in (one for one in others if one.open):
            parts += [part for part in other.anomalies if part.key not in {each.key for each in parts}]
            told = _noted(_ended(replace(other, joined=first.id)), at, f"part of incident {first.id}")
            self.incidents[other.id] = told
        told = _noted(first, at, f"grows: {_listed(group)}") if first.open else _again(at, first, group)
        self.incidents[first.id] = replace(told, anomalies=tuple(parts))

    def _begin(self, at: int, group: tuple[Anomaly, ...]) -> None:
        known = group[:MOST_PARTS]
        leading = known[0]
        text = "/".join((*leading.node, leading.scope.kind, leading.scope.detail, leading.signal, str(at)))
        name = hashlib.blake2s(text.encode(errors="replace"), digest_size=4).hexdigest()
        one = Incident(name, at, severity(known), title(known), known)
        self.incidents[name] = _noted(one, at, f"noticed: {_listed(known)}")

    def _age(self, at: int, one: Incident, found: set[tuple[Scope, Signal]]) -> None:
        """End what is quiet; anomalies that nothing is told of any more are over."""
        quiet = tuple(
            replace(part, open=False) if part.open and part.key not in found and at - part.end >= QUIET else part
            for part in one.anomalies
        )
        if quiet != one.anomalies:
            one = self.incidents[one.id] = replace(one, anomalies=quiet)
        if at - one.last >= QUIET:
            self.incidents[one.id] = _noted(_ended(one), at, f"over: nothing odd for {QUIET // 60} minutes")

    def _retitle(self, at: int, one: Incident, calls: Calls) -> None:
        """Order, title and severity of what changed; severity only grows."""
        parts = ordered(one.anomalies, calls)[:MOST_PARTS]
        grave = "page" if one.severity == "page" else severity(parts)
        told = replace(one, anomalies=parts, title=title(parts), severity=grave)
        if grave != one.severity:
            told = _noted(told, at, "serious enough to page")
        if one.opened < at and parts[0].node != one.leading.node:
            told = _noted(told, at, f"seems to begin at {parts[0].scope.name}")
        if told != one:
            self.incidents[one.id] = told


def _longer(known: Anomaly, found: Anomaly) -> Anomaly:
    """An anomaly as it went on: its whole length, and its worst."""
    worst = max((found, known), key=lambda one: one.departure)
    return replace(
        found, start=min(known.start, found.start), end=max(known.end, found.end), factor=worst.factor,
        score=max(known.score, found.score),
    )  # fmt: skip


def _again(at: int, one: Incident, parts: Sequence[Anomaly]) -> Incident:
    """The incident going on, which is told where it was over."""
    return one if one.open else _noted(replace(one, end=None, asked=()), at, f"odd again: {_listed(parts)}")


def _ended(one: Incident) -> Incident:
    return replace(one, end=one.last, anomalies=tuple(replace(part, open=False) for part in one.anomalies))


def _noted(one: Incident, at: int, text: str) -> Incident:
    return replace(one, events=(*one.events, Event(at, text))[-MOST_EVENTS:])


def _listed(parts: Sequence[Anomaly]) -> str:
    more = len(parts) - _NAMED
    return ", ".join([*map(named, parts[:_NAMED]), *([f"{more} more"] if more > 0 else [])])
