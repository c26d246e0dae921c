"""The objectives that a server keeps: those of files named by globs, and those among the mesh's files.

A file that cannot be used is told of, and the objectives it had before stay; a file that is gone takes its own along.
Files are looked at again by `look`, which costs their `stat` while nothing has changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from windvane.alerting.files import expand_globs
from windvane.alerting.slo_file import Objective, read, read_among
from windvane.alerting.watch import Seen, signature
from windvane.kit.strict_yaml import read_text
from windvane.kit.yaml_nodes import FileError, Problem

_WILD = re.compile(r"[*?\[]")
MOST = 500
"""Objectives a server keeps: each is a dozen series and as many rules an indicator."""


@dataclass(slots=True)
class KeptObjectives:
    """`objectives` in force, and `problems` of the newest texts."""

    globs: Sequence[str] = ()
    mesh: Callable[[], Mapping[str, str]] = dict
    """The texts of the mesh's files by path."""
    objectives: tuple[Objective, ...] = ()
    problems: tuple[Problem, ...] = ()
    _good: dict[str, list[Objective]] = field(default_factory=dict)
    _seen: Seen | None = None
    _texts: Mapping[str, str] = field(default_factory=dict)

    def look(self) -> bool:
        """Read again what has changed; whether the objectives in force are others now. May block."""
        texts = self.mesh()
        seen = signature(self.globs, None)
        if seen == self._seen and texts == self._texts:
            return False
        self._seen, self._texts = seen, texts
        before = self.objectives
        problems: list[Problem] = [*self._missing()]
        found: dict[str, list[Objective]] = {}
        for path in expand_globs(self.globs, None):
            found[str(path)] = self._read(str(path), partial(_of_file, path), problems)
        for file, text in texts.items():
            if file not in found:
                found[file] = self._read(file, partial(read_among, text, file), problems)
        self._good = found
        self.objectives = tuple(_distinct([one for each in found.values() for one in each], problems))
        self.problems = tuple(problems)
        return self.objectives != before

    def _read(self, file: str, how: Callable[[], list[Objective]], problems: list[Problem]) -> list[Objective]:
        try:
            return how()
        except FileError as error:
            problems.extend(error.problems)
            return self._good.get(file, [])

    def _missing(self) -> list[Problem]:
        plain = (glob for glob in self.globs if not _WILD.search(glob))
        return [Problem(glob, 0, "", "there is no such file") for glob in plain if not Path(glob).is_file()]


def _of_file(path: Path) -> list[Objective]:
    return read(read_text(path), str(path))


def _distinct(found: list[Objective], problems: list[Problem]) -> list[Objective]:
    """The first of each name; the others are told of."""
    kept: dict[tuple[str, str], Objective] = {}
    for one in found:
        first = kept.setdefault((one.namespace, one.name), one)
        if first is not one:
            message = f"{one.name} of namespace {one.namespace} is in {first.file}:{first.line} already"
            problems.append(Problem(one.file, one.line, "metadata.name", message))
    if len(kept) > MOST:
        last = list(kept.values())[MOST]
        problems.append(Problem(last.file, last.line, "", f"more than {MOST} objectives: the others are left out"))
    return list(kept.values())[:MOST]
