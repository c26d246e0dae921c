"""The rule files that come with Windvane."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from windvane.kit.errors import ConflictError


def names() -> list[str]:
    """The files' names: rules, and their unit tests (`*_test.yaml`)."""
    folder = files("windvane.alerting") / "rules"
    return sorted(one.name for one in folder.iterdir() if one.name.endswith(".yaml"))


def path_of(name: str) -> Path:
    """Where one of the files is."""
    return Path(str(files("windvane.alerting") / "rules" / name))


def text(name: str) -> str:
    """One of the files."""
    return path_of(name).read_text(encoding="utf-8")


def export_to(directory: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Write all of them to a directory; `ConflictError` when one exists and `overwrite` is False."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = {directory / name: name for name in names()}
    existing = [path for path in paths if path.exists()]
    if existing and not overwrite:
        raise ConflictError(f"{existing[0]} exists already")
    for path, name in paths.items():
        path.write_text(text(name), encoding="utf-8")
        yield path
