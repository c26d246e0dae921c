"""Edits of a mesh's files that came from elsewhere: all checked first, each written as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from windvane.kit.errors import ConflictError
from windvane.mesh.drafts import Edit

_NEW_MODE = 0o644


def write_edits(edits: Sequence[Edit], roots: Sequence[Path]) -> None:
    """Write the edits below (or over) the mesh's own paths.

    `ConflictError`, and nothing is written, when a file is not what the edit begins with, or is not one of the
    mesh's own. Files with subsets come before those with routes to them. Blocks.
    """
    for edit in edits:
        _check(edit, [root.resolve() for root in roots])
    for edit in sorted(edits, key=lambda each: "kind: DestinationRule" not in each.after):
        _write(edit)


def _check(edit: Edit, roots: Sequence[Path]) -> None:
    file = edit.file
    if file.is_symlink() or not any(_is_in(file.parent.resolve() / file.name, root) for root in roots):
        raise ConflictError(f"{file} is not a file of the mesh's own folders: it is not written")
    try:
        present = file.read_text(encoding="utf-8-sig") if file.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise ConflictError(f"{file} cannot be read: {error}") from None
    if present != edit.before:
        raise ConflictError(f"{file} has changed since the draft was made: make it again")


def _is_in(file: Path, root: Path) -> bool:
    return file == root or (root.is_dir() and root in file.parents)


def _write(edit: Edit) -> None:
    """Under a name that nobody watches first, then renamed; a file that is there keeps its mode."""
    mode = edit.file.stat().st_mode & 0o777 if edit.before is not None else _NEW_MODE
    fresh = edit.file.with_name(f".{edit.file.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(edit.after.encode())
            file.flush()
            os.fsync(file.fileno())
        if edit.before is None:
            os.link(fresh, edit.file)  # fails where somebody made it in the meantime
            fresh.unlink()
        else:
            fresh.replace(edit.file)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise ConflictError(f"{edit.file} cannot be written: {error.strerror}") from None
