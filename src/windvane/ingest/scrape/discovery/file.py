"""Target groups in files, read again when they change and every `refresh_interval`.

A file that cannot be read or parsed keeps what it said before.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

import orjson
from watchfiles import awatch

from windvane.ingest.scrape.discovery.base import Update, groups_of
from windvane.ingest.scrape.discovery_config import FileDiscovery
from windvane.ingest.scrape.targets import TargetGroup
from windvane.ingest.scrape.yaml_lines import ConfigError, parse
from windvane.kit.clock import Clock

_log = logging.getLogger(__name__)
FILEPATH = "__meta_filepath"


class FileTargets:
    """Watches the folders of the patterns."""

    def __init__(self, config: FileDiscovery, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._counts: dict[str, int] = {}

    async def run(self, update: Update) -> None:
        """Tell of the targets now, after every change of a file, and at the latest after the refresh interval.

        One watch lasts as long as the folders are the same: what happens while files are read is not missed.
        """
        changed = asyncio.Event()
        folders: list[str] = []
        watching: asyncio.Task[None] | None = None
        try:
            while True:
                present = await asyncio.to_thread(self._folders)
                if watching is None or watching.done() or present != folders:
                    await _end(watching)
                    folders, watching = present, asyncio.create_task(_follow(present, changed))
                    await asyncio.sleep(0)  # the watch begins before the files are read
                changed.clear()
                update(await asyncio.to_thread(self.read))
                await self._wait(changed)
        finally:
            await _end(watching)

    async def _wait(self, changed: asyncio.Event) -> None:
        waiting = {
            asyncio.create_task(self._clock.sleep(self._config.refresh_interval)),
            asyncio.create_task(changed.wait()),
        }
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    def _folders(self) -> list[str]:
        folders = {str(Path(pattern).parent) for pattern in self._config.files}
        return [folder for folder in folders if Path(folder).is_dir()]

    def read(self) -> list[TargetGroup]:
        """The groups of all files, and empty ones for what is gone."""
        groups: list[TargetGroup] = []
        seen: dict[str, int] = {}
        for file in self._files():
            try:
                found = _read(file)
            except (OSError, ValueError, ConfigError) as error:
                _log.warning("target file %s keeps what it said before: %s", file, error)
                seen[file] = self._counts.get(file, 0)
                continue
            seen[file] = len(found)
            groups += found
        for file, count in self._counts.items():
            groups += [TargetGroup(f"{file}:{place}") for place in range(seen.get(file, 0), count)]
        self._counts = seen
        return groups

    def _files(self) -> list[str]:
        found: dict[str, None] = {}
        for pattern in self._config.files:
            whole = Path(pattern)
            found.update(dict.fromkeys(sorted(map(str, whole.parent.glob(whole.name)))))
        return list(found)


async def _follow(folders: list[str], changed: asyncio.Event) -> None:
    """Set the event after each change in one of the folders; ends when one is gone, or there is none."""
    if not folders:
        return
    with contextlib.suppress(FileNotFoundError):
        async for _ in awatch(*folders, recursive=False, debounce=200, step=50):
            changed.set()


async def _end(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _read(file: str) -> list[TargetGroup]:
    raw = Path(file).read_bytes()
    value = orjson.loads(raw) if file.lower().endswith(".json") else parse(raw.decode(), file).value
    return [
        TargetGroup(group.source, group.targets, {**group.labels, FILEPATH: file}) for group in groups_of(file, value)
    ]
