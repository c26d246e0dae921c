"""A mesh in files: YAML files and directories read, validated and built into a view.

A source remembers what it decoded of each file, so that a reload after an edit costs the edited
file. A load with a finding that refuses yields no view; every other finding is only told.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO
from weakref import WeakKeyDictionary

from windvane.mesh.build import MeshIdentity, build_view
from windvane.mesh.decode import Loaded, decode
from windvane.mesh.findings import Finding, finding, ordered
from windvane.mesh.implied import with_gateways
from windvane.mesh.mesh_config import from_file
from windvane.mesh.packaging import SUFFIXES, Files, by_source, unrendered
from windvane.mesh.validate import Also, validate
from windvane.mesh.view import MeshView
from windvane.mesh.written import Written, beside, written
from windvane.mesh.yaml_source import Document, read_documents

STDIN = "-"
Reader = Callable[[Sequence[Written], Mapping[str, str]], Iterable[Finding]]
"""Looks at the documents beside a mesh's own, and at all texts; what it finds is told and refuses nothing."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load came to: a view, unless findings refuse it. Findings come worst first.

    `beside` are documents that mean something to others than the mesh, such as releases.
    """

    view: MeshView | None
    findings: tuple[Finding, ...] = ()
    beside: tuple[Written, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether nothing found keeps this configuration from taking effect."""
        return not any(item.refuses for item in self.findings)


@dataclass(frozen=True, slots=True)
class _Decoded:
    text: str
    documents: tuple[Document, ...]
    loaded: tuple[Loaded, ...]
    findings: tuple[Finding, ...]
    beside: tuple[Written, ...] = ()


@dataclass(slots=True)
class FileSource:
    """Files and directories (with all below them) as one configuration; `-` is standard input.

    In directories only `.yaml`, `.yml` and `.json` files count, and none whose name or folder
    begins with a dot (editors keep their temporary files so); of charts and kustomizations see `packaging`. Documents
    that Helm rendered go by the templates that they name.
    """

    paths: Sequence[str | Path]
    identity: MeshIdentity = field(default_factory=MeshIdentity)
    default_namespace: str = "default"
    implied_gateways: bool = False
    """Whether there is no cluster that would have the ingress gateways which the files leave to it."""
    mesh_config: str | Path | None = None
    """A file of the mesh's configuration (MeshConfig) alone."""
    also: Sequence[Also] = ()
    """What is looked for besides, by those who know what becomes of a configuration."""
    readers: Sequence[Reader] = ()
    """Who looks at documents that are not the mesh's own."""
    _cache: dict[str, _Decoded] = field(default_factory=dict, repr=False)

    def load(self) -> LoadResult:
        """Read everything anew; never raises for what the files hold."""
        return self.load_texts(*self._texts())

    def load_texts(self, texts: Mapping[str, str], unread: Iterable[Finding] = ()) -> LoadResult:
        """The same for these texts by file, whatever the disk holds; `unread` are files that could not be read."""
        findings = list(unread)
        self._cache = {file: self._decoded(file, text) for file, text in texts.items()}
        loaded = [item for decoded in self._cache.values() for item in decoded.loaded]
        findings.extend(item for decoded in self._cache.values() for item in decoded.findings)
        view = build_view((item.resource for item in loaded), self.identity)
        view = with_gateways(view) if self.implied_gateways else view
        malformed = any(item.refuses for item in findings)
        findings.extend(validate(loaded, view, self.identity.domain, () if malformed else self.also))
        others = tuple(one for decoded in self._cache.values() for one in decoded.beside)
        findings.extend(item for reader in self.readers for item in reader(others, texts))
        refused = any(item.refuses for item in findings)
        return LoadResult(None if refused else view, ordered(findings), others)

    def is_watched(self, path: str) -> bool:
        """Whether a change of this file or folder can change the configuration.

        A folder counts too: what is written into a new one before it is watched itself is told by
        nothing but the folder's own appearance.
        """
        file = Path(path).resolve()
        for root in (Path(item).resolve() for item in self._all_paths()):
            if file == root or (root in file.parents and _may_hold(file, file.relative_to(root))):
                return True
        return False

    def texts(self) -> dict[str, str]:
        """The text of every file as it was last read."""
        return {file: decoded.text for file, decoded in self._cache.items()}

    def written(self) -> tuple[Written, ...]:
        """The resources as they were last read, those that are refused too; in the order of files."""
        return tuple(
            each
            for decoded in self._cache.values()
            for each in written(decoded.text, decoded.documents, decoded.loaded, self.default_namespace)
        )

    def line(self, file: str, number: int) -> str:
        """A line of a file as it was last read; empty where there is none (numbers begin at 1)."""
        known = self._cache.get(file)
        lines = known.text.splitlines() if known is not None else []
        return lines[number - 1] if 0 < number <= len(lines) else ""

    def _all_paths(self) -> list[str | Path]:
        return [*self.paths, *([self.mesh_config] if self.mesh_config is not None else [])]

    def _texts(self) -> tuple[dict[str, str], list[Finding]]:
        texts: dict[str, str] = {}
        findings: list[Finding] = []
        for path in self._all_paths():
            files, explained = _meant(path)
            findings += explained
            for file in files:
                try:
                    text = read_text(file)
                except (OSError, UnicodeDecodeError) as error:
                    reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
                    findings.append(finding("WV0105", f"cannot be read: {reason}", file=str(file)))
                    continue
                for name, part in by_source(text, str(file)):
                    texts[name if name == str(file) or name not in texts else f"{file}: {name}"] = part
        return texts, findings

    def _decoded(self, file: str, text: str) -> _Decoded:
        known = self._cache.get(file)
        if known is not None and known.text == text:
            return known
        if self.mesh_config is not None and file == str(self.mesh_config):
            documents, findings = from_file(text, file, self.identity.root_namespace)
        else:
            documents, findings = read_documents(text, file)
        template = unrendered(text, file) if any(item.code == "WV0101" for item in findings) else None
        if template is not None:
            return _Decoded(text, (), (), (template,))
        loaded: list[Loaded] = []
        for document in documents:
            resources, problems = decode(document, self.default_namespace)
            loaded.extend(resources)
            findings.extend(problems)
        others = tuple(beside(text, documents, self.default_namespace))
        return _Decoded(text, tuple(documents), tuple(loaded), tuple(findings), others)


def read_text(file: str | Path) -> str:
    """The text of a file or of standard input, which is read once; `OSError` and `UnicodeDecodeError` as they come."""
    if file != STDIN:
        return Path(file).read_text(encoding="utf-8-sig")
    if sys.stdin not in _STDIN:
        _STDIN[sys.stdin] = sys.stdin.read()
    return _STDIN[sys.stdin]


_STDIN: WeakKeyDictionary[TextIO, str] = WeakKeyDictionary()
"""What standard input said: it says it once, and a command may look for several things in it."""


def _meant(path: str | Path) -> tuple[Iterable[str | Path], list[Finding]]:
    """The files that an argument means, and what is explained of those that it leaves out."""
    if str(path) == STDIN or not Path(path).is_dir():
        return ((STDIN,) if str(path) == STDIN else (Path(path),)), []
    found = Files()
    found.add(Path(path))
    return found.files, found.findings


def expand(path: str | Path) -> Iterable[str | Path]:
    """Every file of a path that may hold YAML: itself, or all that count below a directory."""
    if str(path) == STDIN:
        return (STDIN,)
    root = Path(path)
    if not root.is_dir():
        return (root,)
    return sorted(file for file in root.rglob("*") if _counts(file.relative_to(root)) and file.is_file())


def _counts(relative: Path) -> bool:
    return relative.suffix in SUFFIXES and not any(part.startswith(".") for part in relative.parts)


def _may_hold(file: Path, relative: Path) -> bool:
    """A file that counts, or a folder (also one that is gone) that may hold such files."""
    if any(part.startswith(".") for part in relative.parts):
        return False
    return relative.suffix in SUFFIXES or file.is_dir() or not file.exists()
