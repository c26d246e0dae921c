"""Directories as people keep them: plain YAML, Helm charts, kustomizations; and streams that Helm rendered.

A chart's templates are no YAML until they are rendered, and a kustomization that patches means something else than its
files say: such directories are left out and explained. A kustomization that only lists resources means just these.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from windvane.mesh.findings import Finding, finding
from windvane.mesh.yaml_source import read_documents

SUFFIXES = (".yaml", ".yml", ".json")
KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_CHART = "Chart.yaml"
_PLAIN_KEYS = {"apiVersion", "kind", "metadata", "resources"}
_SOURCE = re.compile(r"^# Source: (\S[^\n]*?)[ \t\r]*$", re.MULTILINE)
_MARKER = re.compile(r"^---[ \t\r]*$", re.MULTILINE)
_ACTION = re.compile(r"\{\{-?\s*[^}\s]")


@dataclass(slots=True)
class Files:
    """What a directory means: files in order, each once, and what is explained of the rest."""

    files: dict[Path, None] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    _seen: set[Path] = field(default_factory=set)

    def add(self, folder: Path) -> None:
        """Everything below a directory; a directory twice, or in a circle, counts once."""
        folder = Path(os.path.normpath(folder))
        if folder in self._seen:
            return
        self._seen.add(folder)
        kustomization = next((folder / name for name in KUSTOMIZATIONS if (folder / name).is_file()), None)
        if (folder / _CHART).is_file():
            self.findings.append(_chart(folder))
        elif kustomization is not None:
            self._kustomization(folder, kustomization)
        else:
            for each in self._entries(folder):
                self._entry(each)

    def _entries(self, folder: Path) -> list[Path]:
        """What is in a directory, but for hidden things."""
        try:
            return sorted(each for each in folder.iterdir() if not each.name.startswith("."))
        except OSError as error:
            self.findings.append(finding("WV0105", f"cannot be read: {error.strerror}", file=str(folder)))
            return []

    def _entry(self, entry: Path) -> None:
        if entry.is_dir():
            if not entry.is_symlink():  # which may lead in a circle
                self.add(entry)
        elif entry.suffix in SUFFIXES and entry.is_file():
            self.files[entry] = None

    def _kustomization(self, folder: Path, file: Path) -> None:
        """What it lists where it changes nothing of that; directories below it may be others' and are looked at."""
        value = _mapping(file)
        changes = sorted(str(key) for key in value if key not in _PLAIN_KEYS)
        resources = [str(each) for each in value.get("resources") or ()]
        absent = [name for name in resources if not (folder / name).exists()]
        if changes or absent:
            reason = f"it has {', '.join(changes)}" if changes else f"{', '.join(absent)} is not here"
            self.findings.append(_unbuilt(folder, file, reason))
        else:
            for name in resources:
                (self.add if (folder / name).is_dir() else self._listed)(folder / name)
        for each in self._entries(folder):
            if each.is_dir() and not each.is_symlink():
                self._below(each)

    def _listed(self, file: Path) -> None:
        self.files[Path(os.path.normpath(file))] = None

    def _below(self, folder: Path) -> None:
        """Only what is a chart or kustomization of its own: other files are for the one above to list."""
        if any((folder / name).is_file() for name in (*KUSTOMIZATIONS, _CHART)):
            self.add(folder)
            return
        for each in self._entries(folder):
            if each.is_dir() and not each.is_symlink():
                self._below(each)


def _mapping(file: Path) -> Mapping[str, Any]:
    try:
        documents, _ = read_documents(file.read_text(encoding="utf-8-sig"), str(file))
    except (OSError, UnicodeDecodeError):
        return {}
    value = documents[0].value if documents else {}
    return value if isinstance(value, Mapping) else {}


def _chart(folder: Path) -> Finding:
    return finding(
        "WV0106",
        "a Helm chart: its templates mean nothing until they are rendered, and nothing of it was read "
        f"(try: helm template {folder} | windvane … -)",
        file=str(folder / _CHART),
    )


def _unbuilt(folder: Path, file: Path, reason: str) -> Finding:
    return finding(
        "WV0107",
        f"a kustomization that does more than list resources of this machine ({reason}): nothing of it was read "
        f"(try: kustomize build {folder} | windvane … -)",
        file=str(file),
    )


def unrendered(text: str, file: str) -> Finding | None:
    """A file that is no YAML because it is a template; None for any other."""
    found = _ACTION.search(text)
    if found is None:
        return None
    line = text.count("\n", 0, found.start()) + 1
    message = "a template that is not rendered (try: helm template CHART | windvane … -)"
    return finding("WV0108", message, file=file, line=line)


def by_source(text: str, file: str) -> Iterator[tuple[str, str]]:
    """The texts of a stream by the files that `# Source:` comments of `helm template` name, then what names none.

    Documents of one template stand in it below each other, as they did there; what is left keeps its lines.
    """
    if _SOURCE.search(text) is None:
        yield file, text
        return
    sources: dict[str, list[str]] = {}
    rest, start = [], 0
    for end in (*(marker.start() for marker in _MARKER.finditer(text)), len(text)):
        part, start = text[start:end], end
        found = _SOURCE.search(part)
        if found is None or _is_written(part[: found.start()]):
            rest.append(part)
            continue
        sources.setdefault(found[1], []).append(part[found.end() :].removeprefix("\n"))
        rest.append("\n" * part.count("\n"))
    for name, parts in sources.items():
        yield name, "---\n".join(each if each.endswith("\n") else f"{each}\n" for each in parts)
    yield file, "".join(rest)


def _is_written(before: str) -> bool:
    """Whether anything but a marker and comments stands before a comment."""
    lines = (line.strip() for line in before.splitlines())
    return any(line and line != "---" and not line.startswith("#") for line in lines)
