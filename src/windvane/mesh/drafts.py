"""Resources put into a mesh's files: which files that changes, and how.

A resource that the mesh has takes the place of its document, wherever that stands; others go into one new
file of the first directory, or to the end of the first file where there is no directory. Pure: nothing is read
or written, though `draft` looks whether files exist.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from windvane.kit.errors import BadInputError, ConflictError
from windvane.mesh.authoring import Resource
from windvane.mesh.written import Written, written
from windvane.mesh.yaml_source import read_documents
from windvane.mesh.yaml_text import as_yaml

KINDS = ("VirtualService", "DestinationRule", "PeerAuthentication", "RequestAuthentication", "AuthorizationPolicy")
"""Kinds of a draft. Others may not come from a browser: a WorkloadEntry can name a command to be run."""
_YAML = (".yaml", ".yml")
_NAMES = 100


@dataclass(frozen=True, slots=True)
class Edit:
    """A file's text before (None for a new file) and after."""

    file: Path
    before: str | None
    after: str


@dataclass(frozen=True, slots=True)
class DraftResource:
    """A resource of a draft; `before` is "" for one that the mesh does not have."""

    kind: str
    namespace: str
    name: str
    before: str
    after: str
    file: Path
    loses_comments: bool = False


@dataclass(slots=True)
class Draft:
    """Resources with the edits that put them into the files; `texts` are all files as they would be then."""

    resources: list[DraftResource]
    edits: list[Edit]
    texts: dict[str, str] = field(default_factory=dict)


def text_of(resources: Sequence[Resource], live: Sequence[Written] = ()) -> str:
    """Resources as the documents of one text; those that are live look as they do, as far as they stay the same."""
    return "---\n".join(_text(one, live) for one in resources)


def _text(resource: Resource, live: Sequence[Written]) -> str:
    key = (resource["kind"], resource["metadata"]["namespace"], resource["metadata"]["name"])
    there = next((one for one in live if one.key == key), None)
    if there is None:
        return as_yaml(resource)
    return there.text if there.value == resource else as_yaml(resource, like=there.text)


def read(text: str, default_namespace: str = "default") -> list[Written]:
    """The resources of a draft's text; `BadInputError` for what is not YAML, or may not be in a draft."""
    documents, findings = read_documents(text, "draft")
    for found in findings:
        raise BadInputError(f"line {found.line}: {found.message}")
    resources = list(written(text, documents, (), default_namespace))
    if len(resources) != len(documents) or not resources:
        raise BadInputError("a draft consists of documents that each have a kind and a metadata.name")
    for one in resources:
        if one.kind not in KINDS:
            raise BadInputError(f"{one.kind} cannot be drafted here, only {', '.join(KINDS)}")
    return resources


def draft(
    resources: Sequence[Written], live: Sequence[Written], texts: Mapping[str, str], roots: Sequence[Path], name: str
) -> Draft:
    """Put resources into a mesh's files. `name` is of the new file, where one is needed.

    `ConflictError` for a resource that stands where it cannot be replaced.
    """
    by_key = {one.key: one for one in live}
    made, after, news = Draft([], []), dict(texts), []
    for one in resources:
        there = by_key.get(one.key)
        if there is None:
            news.append(one)
            continue
        _replaceable(there)
        head = "" if one.text.startswith("#") else _head(there.text)
        if one.text == there.text:
            made.resources.append(_resource(one, there.text, Path(there.file)))
            continue
        after[there.file] = _replaced(after[there.file], there.text, head + one.text)
        lost = _has_comment(there.text[len(head) :])
        made.resources.append(_resource(one, there.text[len(head) :], Path(there.file), lost))
    if news:
        file, before = _place(roots, texts, name)
        parts = [one.text for one in news]
        former = after.get(str(file), before) or ""
        after[str(file)] = "---\n".join([*([_ended(former)] if former else []), *parts])
        made.resources += [_resource(one, "", file) for one in news]
    made.texts = after
    made.edits = [Edit(Path(file), texts.get(file), text) for file, text in after.items() if texts.get(file) != text]
    return made


def _resource(one: Written, before: str, file: Path, loses_comments: bool = False) -> DraftResource:
    return DraftResource(*one.key, before, one.text, file, loses_comments and not _has_comment(one.text))


def _replaceable(there: Written) -> None:
    name = f"{there.kind} {there.namespace}/{there.name}"
    if not there.whole:
        raise ConflictError(f"{name} is an item of a List in {there.file}: change it there")
    if Path(there.file).suffix not in _YAML:
        raise ConflictError(f"{name} is not in a YAML file, but in {there.file}: change it there")


def _replaced(text: str, old: str, new: str) -> str:
    """The text with a document replaced; documents are told apart by the marker before them."""
    lines, wanted = text.splitlines(), old.splitlines()
    for at in range(len(lines) - len(wanted) + 1):
        if lines[at : at + len(wanted)] == wanted and _alone(lines, at, at + len(wanted)):
            return "\n".join([*lines[:at], *new.splitlines(), *lines[at + len(wanted) :]]) + "\n"
    raise ConflictError("the document to be replaced is not in its file any more")


def _alone(lines: Sequence[str], begin: int, end: int) -> bool:
    """Whether nothing but space is between these lines and the markers (or the ends) around them."""
    before = next((line for line in reversed(lines[:begin]) if line.strip()), "---")
    after = next((line for line in lines[end:] if line.strip()), "---")
    return before.startswith(("---", "...")) and after.startswith(("---", "..."))


def _place(roots: Sequence[Path], texts: Mapping[str, str], name: str) -> tuple[Path, str | None]:
    folder = next((root for root in roots if root.is_dir()), None)
    if folder is None:
        file = next((root for root in roots if root.suffix in _YAML), None)
        if file is None:
            raise ConflictError("the mesh has neither a directory nor a YAML file that something could be added to")
        return file, texts.get(str(file))
    names = [name, *(f"{name}-{number}" for number in range(2, _NAMES))]
    for each in names:
        file = folder / f"{each}.yaml"
        if str(file) not in texts and not file.exists():
            return file, None
    raise ConflictError(f"{folder} has too many files called {name}.yaml, {name}-2.yaml, …")


def _head(text: str) -> str:
    """The comments that a document begins with: they stay."""
    kept = itertools.takewhile(lambda line: not line.strip() or line.startswith("#"), text.splitlines(keepends=True))
    return "".join(kept)


def _has_comment(text: str) -> bool:
    return any(line.lstrip().startswith("#") or " #" in line for line in text.splitlines())


def _ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"
