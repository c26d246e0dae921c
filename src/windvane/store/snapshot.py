"""Snapshots: the parts of every table as they are at one moment, as hard links, and their way back.

`FREEZE` links a table's parts into a folder of the engine, at once and whatever their size; they are
moved from there to `<snapshot>/<table>/<part>`. Parts never change, so a snapshot takes room on disk
only as merges replace what it holds. Each table is frozen for itself: an insert that reaches several
tables may be in some of them. An engine in this process only: on a server the files are elsewhere.
"""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from windvane.kit.errors import BadInputError, ConflictError
from windvane.store.embedded import EmbeddedEngine

_TABLES = """
SELECT name AS Name, toString(uuid) AS Uuid, data_paths[1] AS Path FROM system.tables
WHERE database = currentDatabase() AND engine LIKE '%MergeTree' ORDER BY name
"""


def snapshot(engine: EmbeddedEngine, folder: Path) -> int:
    """Put a snapshot of the engine's database into a new folder (on the same file system); the number of parts."""
    if folder.exists():
        raise ConflictError(f"{folder} exists already")
    folder.mkdir(parents=True)
    frozen = f"snapshot_{secrets.token_hex(8)}"
    shadow = engine.path / "shadow" / frozen
    count = 0
    for name, uuid, _ in engine.query(_TABLES).itertuples(index=False, name=None):
        target = folder / name
        target.mkdir()
        engine.command(f"ALTER TABLE `{name}` FREEZE WITH NAME '{frozen}'")
        for part in sorted((shadow / "store" / uuid[:3] / uuid).glob("*")):
            part.rename(target / part.name)
            count += 1
    shutil.rmtree(shadow, ignore_errors=True)
    return count


def restore(engine: EmbeddedEngine, folder: Path) -> int:
    """Add a snapshot's parts to the engine's (migrated, usually empty) database; the number of parts."""
    tables = {name: Path(path) for name, _, path in engine.query(_TABLES).itertuples(index=False, name=None)}
    parts = sorted(part for part in folder.glob("*/*") if part.is_dir())
    unknown = sorted({part.parent.name for part in parts} - set(tables))
    if unknown:
        raise BadInputError(f"{folder} has parts of tables that this version does not know: {', '.join(unknown)}")
    for part in parts:
        table = part.parent.name
        shutil.copytree(part, engine.path / tables[table] / "detached" / part.name)
        engine.command(f"ALTER TABLE `{table}` ATTACH PART '{part.name}'")
    return len(parts)
