"""The baselines of a mesh, kept minute by minute."""

from __future__ import annotations

from collections.abc import Callable

from windvane.analytics.baselines.contract import Judgement, Scope, Watched, WatchSettings
from windvane.analytics.releases.read import AskRange


class Watcher:
    """Learns a mesh's history once, then reads and judges only what is new.

    Not safe for threads: one call at a time. `ask` may block and may raise; what it raises goes through, and the
    watcher is then as it was before the call.
    """

    def __init__(self, ask: AskRange, settings: WatchSettings | None = None) -> None:
        self._ask = ask
        self._settings = settings or WatchSettings()

    def learn(self, until_s: int, progress: Callable[[float], None] | None = None) -> None:
        """Forget all and learn `settings.days` up to a time (Unix seconds), some hours at a time.

        `progress` is told the share that is done (0 to 1), from the same thread.
        """
        raise NotImplementedError

    def advance(self, until_s: int) -> Judgement:
        """Read what came since the last call, with the last few minutes once more, and judge it.

        Minutes that end at `until_s` (Unix seconds) or before are judged; so call it some seconds after a minute's
        end, when scrapes have landed. Missed minutes are made up for; with nothing learnt, it learns first. Asked for
        a minute that was judged already, it answers for that minute again.
        """
        raise NotImplementedError

    def changed(self, scope: Scope, at: int) -> None:
        """A deployment or a configuration change touched a scope at a time (Unix seconds).

        If its level moved then, and has stayed so for an hour, the new level is normal: what was learnt is moved to
        it, where otherwise a day would have to pass. Of a service, all its versions, workloads and edges are meant.
        """
        raise NotImplementedError

    def dump(self) -> bytes:
        """All that was learnt, to be given to `restore`; compact."""
        raise NotImplementedError

    def restore(self, state: bytes) -> None:
        """Take up a kept state; `advance` then makes up for what was missed.

        `StateError` where it is damaged or of another version: nothing is changed then, and `learn` is the remedy.
        """
        raise NotImplementedError

    @property
    def watched(self) -> Watched:
        """How much is watched."""
        raise NotImplementedError
