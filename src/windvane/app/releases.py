"""Releases in the server: a keeper over the mesh's files, and what others see of it: series, notifications.

Series are written at every look that changed something and every 15 s, a value a release, for as long as its Canary
is there: Windvane's own names, and Flagger's, so that dashboards made for Flagger show them.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from windvane.alerting.manager import Notification, Notifier
from windvane.analytics.releases.read import AskRange
from windvane.api.windvane.releases import ReleaseSettings
from windvane.app.control import MeshControl
from windvane.app.settings import ServeSettings
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, WindvaneError
from windvane.rollout.evidence import examine
from windvane.rollout.keeper import Keeper
from windvane.rollout.release import Release, Shelf, Told
from windvane.store.series import NAME, SampleWriter

log = logging.getLogger(__name__)

_SAMPLE_SECONDS = 15.0
_HIGHEST = 1e300
_PHASES = ("Initialized", "Waiting", "Progressing", "WaitingPromotion", "Paused", "Promoting", "Succeeded", "Failed")
_FLAGGER_STATUS = {"Succeeded": 1.0, "Failed": 2.0}
_TOLD_SECONDS = {"Succeeded": 300, "Failed": 3_600}
"""How long the end of a release counts as an alert."""
_ALERTS = {"Succeeded": ("ReleasePromoted", "info"), "Failed": ("ReleaseRolledBack", "warning")}


def keep_releases(control: MeshControl, shelf: Shelf, ask: AskRange, outside: Outside, clock: Clock) -> Keeper:
    """A keeper of the Canaries of a mesh, told of its files from now on; it carries them out while its `run` runs."""
    keeper = Keeper(partial(examine, ask), shelf, clock, outside.told, partial(measured, ask))
    control.loaded_also = lambda: keeper.given(control.result.beside, control.texts, whole=control.result.accepted)
    return keeper


def measured(ask: AskRange, query: str, at: float) -> float | None:
    """The one value of a PromQL query at a time (seconds), None where there is none; of several, `BadInputError`."""
    time_ms = int(at * 1_000)
    found = ask(query, time_ms, time_ms, 1_000)
    if len(found.metrics) > 1:
        raise BadInputError(f"the query has {len(found.metrics)} values, one is needed")
    return float(found.points(0)[1][0]) if found.metrics and len(found.points(0)[1]) else None


def release_settings(settings: ServeSettings, control: MeshControl | None) -> ReleaseSettings:
    """Why a server with these settings carries out no releases, where it does not."""
    if control is None:
        return ReleaseSettings("this server has no mesh's files (--mesh), so that there are no releases")
    off = "" if settings.releases else "this server carries out no releases: it was started with --no-releases"
    return ReleaseSettings(off, settings.monitoring.external_url)


class Outside:
    """What becomes of a release's looks: log, series, notifications."""

    def __init__(self, writer: SampleWriter, notifier: Notifier, external_url: str, clock: Clock) -> None:
        self._writer, self._notifier, self._clock = writer, notifier, clock
        self._url = external_url.rstrip("/")
        self._told = asyncio.Event()

    def told(self, told: Told) -> None:
        """Something happened, or a look changed nothing."""
        release, event = told.release, told.event
        name = "/".join(release.key)
        if event is not None:
            log.info("release %s: %s, %d %%: %s", name, event.phase, event.weight, event.text)
            if event.phase in _ALERTS:
                self._notifier.send([self._notification(release, event.phase, event.text)])
        elif release.trouble:
            log.warning("release %s: %s", name, release.trouble)
        self._told.set()

    async def run(self, keeper: Keeper) -> None:
        """Write the series of all releases until cancelled."""
        while True:
            self._told.clear()
            carried = [release for release in keeper.releases() if keeper.carries(release)]
            rows = [row for release in carried for row in samples(release)]
            for namespace, total in Counter(release.key[0] for release in carried).items():
                rows.append(({NAME: "flagger_canary_total", "namespace": namespace}, float(total)))
            if rows:
                try:
                    await asyncio.to_thread(self._write, rows)
                except WindvaneError as error:
                    log.warning("series of releases cannot be written: %s", error.message)
            await self._next()

    async def _next(self) -> None:
        waiting = [asyncio.create_task(self._told_of()), asyncio.create_task(self._paused())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    async def _told_of(self) -> None:
        await self._told.wait()

    async def _paused(self) -> None:
        await self._clock.sleep(_SAMPLE_SECONDS)

    def _write(self, rows: list[tuple[dict[str, str], float]]) -> None:
        now = np.full(len(rows), self._clock.now_ns() // 1_000_000, np.int64)
        self._writer.write([labels for labels, _ in rows], now, np.array([value for _, value in rows]))

    def _notification(self, release: Release, phase: str, text: str) -> Notification:
        alert, severity = _ALERTS[phase]
        (namespace, name), plan, now = release.key, release.plan, self._clock.now_ns()
        assert plan is not None
        labels = {
            "alertname": alert, "severity": severity, "namespace": namespace, "release": name,
            "service": plan.service, "version": plan.canary,
        }  # fmt: skip
        words = "promoted" if phase == "Succeeded" else "rolled back"
        annotations = {
            "summary": f"{plan.service} {plan.canary} was {words}",
            "description": text,
        }
        url = f"{self._url}/insights/releases?release={namespace}/{name}"
        return Notification(labels, annotations, now, now + _TOLD_SECONDS[phase] * 10**9, url)


def samples(release: Release) -> Iterator[tuple[dict[str, str], float]]:
    """The series of a release at present, with their labels."""
    plan, state, (namespace, name) = release.plan, release.state, release.key
    if plan is None or (release.problems and not release.applied):
        return
    own = {"name": name, "namespace": namespace, "service": plan.service}
    weights: Mapping[str, int] = {plan.baseline: 100 - state.weight, plan.canary: state.weight}
    for version, weight in weights.items():
        yield {NAME: "windvane_release_weight", **own, "version": version}, float(weight)
        yield (
            {NAME: "flagger_canary_weight", "workload": f"{plan.service}-{version}", "namespace": namespace},
            float(weight),
        )
    for phase in _PHASES:
        yield {NAME: "windvane_release_phase", **own, "phase": phase}, float(phase == state.phase)
    yield {NAME: "flagger_canary_status", "name": name, "namespace": namespace}, _FLAGGER_STATUS.get(state.phase, 0.0)
    if release.examined is not None:
        judgement, settings = release.examined.judgement, release.examined.settings
        yield {NAME: "windvane_release_evidence", **own, "metric": ""}, min(judgement.evidence, _HIGHEST)
        yield {NAME: "windvane_release_evidence_needed", **own}, 1 / settings.alpha
        for finding in judgement.findings:
            labels = {**own, "metric": finding.name}
            yield {NAME: "windvane_release_evidence", **labels}, min(finding.harm, _HIGHEST)
            if finding.change is not None and math.isfinite(finding.change):
                yield {NAME: "windvane_release_change", **labels}, finding.change
