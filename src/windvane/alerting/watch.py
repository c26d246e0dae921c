"""Notices edits of the files that globs match: new, changed, gone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from watchfiles import awatch

from windvane.alerting.files import expand_globs

RESCAN_MS = 10_000
"""Links that point elsewhere and folders that did not exist are noticed after this long at the latest."""
_WILD = re.compile(r"[*?\[]")

Seen = tuple[tuple[str, int, int, int], ...]


async def changes(globs: Sequence[str], base: Path | None = None) -> AsyncIterator[None]:
    """An item after each edit of a matched file; never ends by itself."""
    before = await asyncio.to_thread(signature, globs, base)
    while True:
        folders = await asyncio.to_thread(_folders, globs, base)
        async for _ in awatch(*folders, debounce=50, step=10, rust_timeout=RESCAN_MS, yield_on_timeout=True,
                              recursive=any("**" in glob or _wild_folder(glob) for glob in globs)):  # fmt: skip
            now = await asyncio.to_thread(signature, globs, base)
            if now != before:
                before = now
                yield
            if await asyncio.to_thread(_folders, globs, base) != folders:
                break


def signature(globs: Sequence[str], base: Path | None) -> Seen:
    """What tells one state of the files that globs match from another: names, sizes, times, numbers."""
    seen = []
    for path in expand_globs(globs, base):
        try:
            status = path.stat()
        except OSError:
            continue
        seen.append((str(path), status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(seen)


def _wild_folder(glob: str) -> bool:
    return _WILD.search(str(Path(glob).parent)) is not None


def _folders(globs: Sequence[str], base: Path | None) -> list[Path]:
    """The folders to watch: the part of each glob before its first wildcard, as far as it exists."""
    found: dict[Path, None] = {}
    for glob in globs:
        folder = (base or Path()) / glob
        while _WILD.search(str(folder)):
            folder = folder.parent
        if not folder.is_dir():
            folder = folder.parent
        while not folder.is_dir() and folder != folder.parent:
            folder = folder.parent
        found[folder.resolve()] = None
    return list(found)
