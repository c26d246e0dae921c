"""Joins the watch for incidents of one tenant: who judges, who explains, whom it tells."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from windvane.alerting.manager import Notifier
from windvane.analytics.mesh_series import name_of
from windvane.analytics.releases.read import AskRange
from windvane.analytics.why import Followed
from windvane.app.settings import ServeSettings
from windvane.history.book import Book
from windvane.incidents.archive import Archive
from windvane.incidents.changes import KnownChanges
from windvane.incidents.desk import Desk, Explain, Parts
from windvane.incidents.judging import Judge
from windvane.incidents.series import SeriesWriter
from windvane.incidents.values import Node, Watching
from windvane.incidents.watch import Watch
from windvane.kit.clock import Clock
from windvane.kit.errors import NotFoundError
from windvane.store.api import Engine
from windvane.store.series import SampleWriter

Keep = Callable[[contextlib.AsyncExitStack, Coroutine[Any, Any, None]], None]

_OFF = "this server does not watch: it was started with --no-watch"


class Incidents:
    """The incidents of one store: what the API asks, and (unless switched off) the loop that finds them."""

    def __init__(self, settings: ServeSettings, engine: Engine, ask: AskRange, clock: Clock) -> None:
        parts = Parts(
            Archive(engine), SeriesWriter(SampleWriter(engine)), ask, KnownChanges(Book(engine), ask),
            _explainer(ask, engine, Book(engine)), clock, settings.monitoring.external_url,
        )  # fmt: skip
        self.desk = Desk(parts)
        self._watch = Watch(self.desk, engine, lambda: _judge(ask), clock=clock) if settings.watch else None

    def start(self, notifier: Notifier, stack: contextlib.AsyncExitStack, keep: Keep) -> None:
        """Watch until `stack` unwinds; then what was learnt is kept."""
        if self._watch is not None:
            stack.push_async_callback(asyncio.to_thread, self._watch.close)
            keep(stack, self._watch.run(notifier))

    def watching(self) -> Watching:
        """What the loop does."""
        return self._watch.state if self._watch is not None else Watching(trouble=_OFF)


def _judge(ask: AskRange) -> Judge:
    from windvane.analytics.baselines import Watcher  # noqa: PLC0415  nothing of it is needed before there is traffic

    return Watcher(ask)


def _explainer(ask: AskRange, engine: Engine, book: Book) -> Explain:
    def explain(service: Node, signal: str, at: int) -> Mapping[str, Any] | None:
        """Why the service is as it is; None where it is not called."""
        from windvane.analytics.explain.explained import Sources, explained  # noqa: PLC0415  as above

        followed: Followed | None = "errors" if signal == "errors" else "latency" if signal == "latency" else None
        try:
            return explained(Sources(ask, engine, book), name_of(service), at, followed).json()
        except NotFoundError:
            return None

    return explain
