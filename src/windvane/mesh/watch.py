"""Edits of mesh files as a stream of loads: debounced, and a bad edit keeps the last good view."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from watchfiles import Change, awatch

from windvane.kit.clock import Clock
from windvane.mesh.files import STDIN, FileSource, LoadResult

SETTLE_SECONDS = 0.05
"""Editors write a file in several steps: a load begins this long after the first of them is seen."""


async def watch(source: FileSource, clock: Clock) -> AsyncIterator[LoadResult]:
    """The load of now, then one after each edit that changed something; ends only with standard input alone.

    The view of a result is the last accepted one: after a bad edit it is the old view, together with
    the findings that refused the new one (`accepted` is False). It is None until a load is accepted.
    Folders are watched, not files, so that an editor's rename over a file is seen.
    """
    changed = asyncio.Event()
    watchers = [asyncio.create_task(_follow(source, *group, changed)) for group in _folders(source)]
    try:
        await clock.sleep(0)  # the watchers begin before the first load, or an edit in between is lost
        result = await _load(source, None)
        yield result
        while watchers:
            await _first_of(changed, watchers)
            await clock.sleep(SETTLE_SECONDS)
            changed.clear()
            following = await _load(source, result)
            if following != result:
                result = following
                yield result
    finally:
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)


async def _follow(source: FileSource, folders: set[Path], recursive: bool, changed: asyncio.Event) -> None:
    def is_ours(_: Change, path: str) -> bool:
        return source.is_watched(path)

    async for _ in awatch(*folders, watch_filter=is_ours, debounce=20, step=5, recursive=recursive):
        changed.set()


async def _first_of(changed: asyncio.Event, watchers: list[asyncio.Task[None]]) -> None:
    """Wait for a change; an error of a watcher (its folder cannot be watched) is raised here."""
    waiting = asyncio.create_task(changed.wait())
    try:
        done, _ = await asyncio.wait([waiting, *watchers], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    for watcher in done - {waiting}:
        watcher.result()


async def _load(source: FileSource, before: LoadResult | None) -> LoadResult:
    result = await asyncio.to_thread(source.load)
    if result.view is None and before is not None:
        return replace(result, view=before.view)
    return result


def _folders(source: FileSource) -> list[tuple[set[Path], bool]]:
    """What to watch: given directories with all below them, of given files only their own folder."""
    paths = [Path(path).resolve() for path in source.paths if str(path) != STDIN]
    trees = {path for path in paths if path.is_dir()}
    folders = {path.parent for path in paths if not path.is_dir()}
    return [(group, recursive) for group, recursive in ((trees, True), (folders, False)) if group]
