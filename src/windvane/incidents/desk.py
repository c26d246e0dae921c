"""One minute's work on the incidents of a store: judge, track, explain, keep. Blocks; safe from any thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from windvane.alerting.manager import Notification
from windvane.alerting.rules import Alert
from windvane.analytics.baselines import Judgement, Scope, Watched
from windvane.analytics.mesh_series import STEP, read_calls
from windvane.analytics.red import Signal
from windvane.analytics.releases.read import AskRange
from windvane.incidents import telling
from windvane.incidents.archive import Archive
from windvane.incidents.changes import Changes
from windvane.incidents.grouping import Calls
from windvane.incidents.judging import Judge, anomalies, minutes
from windvane.incidents.recent import Minute, Recent
from windvane.incidents.series import SeriesWriter
from windvane.incidents.tolerance import FORGOTTEN, Tolerances
from windvane.incidents.tracker import QUIET, REOPEN, Tracker
from windvane.incidents.values import Anomaly, Incident, Node, Verdict
from windvane.kit.clock import Clock
from windvane.kit.errors import WindvaneError

log = logging.getLogger(__name__)

Explain = Callable[[Node, Signal, int], Mapping[str, Any] | None]
"""Root cause analysis: the service, the signal it was noticed by, a time (Unix seconds); the API's answer."""
LOOKS = (0, 120, 600)
"""Seconds after an incident opened at which root cause analysis is asked: again with more minutes of the trouble to go
by, and once more where it had no answer then."""
BLIND = 30 * 60
"""Seconds without any telemetry after which nothing goes on any more; until then it is not known what does."""
_CALLS = 5 * 60


@dataclass(frozen=True, slots=True)
class Parts:
    """What a desk works with; `url` is where users reach the console."""

    archive: Archive
    series: SeriesWriter
    ask: AskRange
    changes: Changes
    explain: Explain
    clock: Clock
    url: str


class Desk:
    """The incidents of one store. Every method blocks; errors are the store's, and those that are named."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._tracker: Tracker | None = None
        self._recent = Recent()
        self._services: set[Node] = set()
        self._versions: dict[Scope, int] = {}
        self._looked = self._heard = 0
        self._courses: dict[tuple[str, Scope, Signal], int] = {}
        self._unsaved: set[str] = set()
        self._alerts: list[Alert] = []
        self._lock = threading.Lock()

    @property
    def archive(self) -> Archive:
        return self._parts.archive

    def alerts(self) -> list[Alert]:
        """The alerts of incidents that go on. Does not block."""
        return self._alerts

    def minute(self, judge: Judge, until: int) -> tuple[Watched, list[Notification]]:
        """Judge up to a time (Unix seconds) and act on it; what is watched, and what is to be told."""
        judgement = judge.advance(until)
        read = minutes(judgement.readings)
        self._recent.add(read)
        self._tell_of_changes(judge, judgement)
        if read:
            self._heard = judgement.at
        elif judgement.at - self._heard < BLIND:
            return judge.watched, self.still_told()
        return judge.watched, self._follow(judgement.at, anomalies(judgement.found), read)

    def nothing(self, at: int) -> list[Notification]:
        """There is no telemetry, nor has there been any lately: nothing goes on."""
        return self._follow(at, [], [])

    def _follow(self, at: int, found: list[Anomaly], read: list[Minute]) -> list[Notification]:
        with self._lock:
            tracker = self._known(at)
            odd = any(at - one.end < QUIET for one in found)
            self._unsaved |= tracker.step(at, found, self._calls(at) if odd else Calls())
            self._keep(tracker)  # what is known is there to be seen while causes are looked for
            self._parts.series.write(at, read, tracker.open())
            self._unsaved |= self._explain(tracker, at)
            told = self._told(tracker)
            self._keep(tracker)
            return told

    def still_told(self) -> list[Notification]:
        """What is to be told while nothing can be judged: alerts that are not confirmed would be over."""
        with self._lock:
            return self._told(self._tracker) if self._tracker else []

    def said(self, name: str, verdict: Verdict | None, note: str) -> Incident:
        """Keep what a person says of an incident (None takes it back). `NotFoundError`."""
        with self._lock:
            now = self._now()
            tracker = self._known(now)
            stored = self.archive.incident(name)
            one = tracker.said(tracker.incidents.get(stored.id, stored), verdict, note, now)
            self.archive.write([one], self._parts.clock.now_ns())
            tracker.tolerances = self._tolerances(now)
            return one

    def _known(self, now: int) -> Tracker:
        if self._tracker is None:
            known = [*self.archive.going_on(), *self.archive.ended_since(now - REOPEN)]
            self._tracker = Tracker(known, self._tolerances(now))
        return self._tracker

    def _tolerances(self, now: int) -> Tolerances:
        return Tolerances(self.archive.spoken_of(now - FORGOTTEN))

    def _calls(self, until: int) -> Calls:
        end = until // STEP * STEP * 1_000
        _, series = read_calls(self._parts.ask, end - _CALLS * 1_000, end)
        return Calls((one.caller, one.callee) for one in series)

    def _explain(self, tracker: Tracker, at: int) -> set[str]:
        """Ask for the causes of what is new, and once more a little later; which incidents learnt something."""
        asked = set()
        for one in tracker.open():
            looks = len(one.asked)
            answered = looks == len(LOOKS) or (looks == len(LOOKS) - 1 and (one.why or {}).get("causes"))
            if not answered and at - one.opened >= LOOKS[looks]:
                tracker.incidents[one.id] = self._explained(one, at)
                asked.add(one.id)
        return asked

    def _explained(self, one: Incident, at: int) -> Incident:
        why, changes = one.why, one.changes
        try:
            found = self._parts.explain(one.node, one.leading.signal, at)
            if found is not None and (found.get("causes") or not why):
                why = found
            causes = [(each["namespace"], each["service"]) for each in (why or {}).get("causes", [])[:1]]
            changes = tuple(self._parts.changes.near(one.start, list(dict.fromkeys([*causes, *one.services]))))
        except WindvaneError as error:
            log.warning("incident %s: its cause cannot be looked for: %s", one.id, error)
        except Exception:  # an incident is told whatever becomes of its explanation
            log.exception("incident %s: looking for its cause failed", one.id)
        return replace(one, why=why, changes=changes, asked=(*one.asked, at))

    def _told(self, tracker: Tracker) -> list[Notification]:
        """Notifications, and labels given to incidents that are told for the first time."""
        before = []
        for one in tracker.open():
            labelled, old = telling.labelled(one)
            if labelled is not one:
                tracker.incidents[one.id] = labelled
                self._unsaved.add(one.id)
            if old is not None:
                before.append((labelled, old))
        self._alerts = telling.alerts(tracker.open(), self._parts.url)
        return telling.notifications(tracker.incidents.values(), before, self._parts.url, self._parts.clock.now_ns())

    def _keep(self, tracker: Tracker) -> None:
        """Store incidents that changed, and what their signals did since this was stored last."""
        incidents = tracker.incidents
        told = sorted(self._unsaved & incidents.keys() | {one.id for one in tracker.open()})
        rows: list[tuple[str, Minute]] = []
        upto: dict[tuple[str, Scope, Signal], int] = {}
        for name in told:
            for part in incidents[name].anomalies:
                known = self._courses.get((name, *part.key), 0)
                fresh = [minute for minute in self._recent.of(*part.key) if minute.at > known]
                rows += [(name, minute) for minute in fresh]
                upto[name, *part.key] = fresh[-1].at if fresh else known
        self.archive.write_courses(rows)
        self.archive.write([incidents[name] for name in told if name in self._unsaved], self._parts.clock.now_ns())
        self._courses, self._unsaved = upto, set()

    def _tell_of_changes(self, judge: Judge, judgement: Judgement) -> None:
        """Let the judge know what was deployed or configured since the last look."""
        at, since = judgement.at, self._looked
        versions = {one.scope for one in judgement.readings if one.scope.kind == "version"}
        self._services |= {(one.scope.namespace, one.scope.service) for one in judgement.readings}
        self._looked = at
        fresh = versions - self._versions.keys()
        self._versions |= dict.fromkeys(fresh, at)
        if not since:
            return
        for scope in sorted(fresh):
            judge.changed(Scope("service", scope.namespace, scope.service), at)
        try:
            configured = self._parts.changes.configured(since, at)
        except WindvaneError as error:
            log.warning("changes of the configuration cannot be read: %s", error)
            return
        for moment, nodes in configured:
            for node in sorted(self._services.intersection(nodes)):
                judge.changed(Scope("service", *node), moment)

    def _now(self) -> int:
        return self._parts.clock.now_ns() // 10**9
