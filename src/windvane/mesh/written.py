"""Resources as their files have them: the text of each, its place, and a hash of what it means."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from windvane.mesh.build import meaning
from windvane.mesh.decode import Loaded, objects
from windvane.mesh.yaml_source import Document, parts
from windvane.mesh.yaml_text import as_yaml

_SECRET_PARTS = ("data", "stringData")
_HIDDEN = "hidden"
_GATEWAY_API = "gateway.networking.k8s.io"
_OTHERS = ("windvane.dev/", "flagger.app/")
"""API groups of documents beside a mesh's own: releases, objectives, tests."""


@dataclass(frozen=True, slots=True)
class Written:
    """One resource; `text` is YAML, without the marker between documents.

    `kind` is `KIND.GROUP` for Gateway API's Gateway, which Istio has a namesake of.

    `line` is where its text begins in the file, from 1. `whole`: a document of its own, its text as it stands
    in the file; otherwise it is an item of a List, and written anew. `digest` is a hash of its meaning, "" for
    one that is refused or has no meaning here.
    """

    kind: str
    namespace: str
    name: str
    file: str
    line: int
    text: str
    digest: str
    whole: bool
    value: dict[str, Any]

    @property
    def reference(self) -> str:
        """What findings call it."""
        return f"{self.value['kind']} {self.namespace}/{self.name}"

    @property
    def shown(self) -> str:
        """The text for whoever may read of the mesh: that of a Secret without its values.

        Annotations of a Secret are left out, too: `kubectl apply` keeps the values in one.
        """
        if self.kind != "Secret":
            return self.text
        hidden = {
            name: _without_values(value) if name in _SECRET_PARTS else value for name, value in self.value.items()
        }
        hidden["metadata"] = {name: value for name, value in hidden["metadata"].items() if name != "annotations"}
        return as_yaml(hidden)

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is known by."""
        return self.kind, self.namespace, self.name


def _without_values(part: Any) -> Any:
    return dict.fromkeys(part, _HIDDEN) if isinstance(part, dict) else _HIDDEN


def written(
    text: str, documents: Sequence[Document], loaded: Sequence[Loaded], default_namespace: str
) -> Iterator[Written]:
    """The resources of a file's text; objects without a kind or a name are left out."""
    known = {(one.document.line_of(one.prefix), one.prefix): one for one in loaded}
    pieces = list(parts(text))
    for document in documents:
        for prefix, value in objects(document.value):
            names = _names(value, default_namespace)
            if names is None:
                continue
            found = known.get((document.line_of(prefix), prefix))
            line, body = (document.line_of(prefix), as_yaml(value)) if prefix else _own_text(pieces, document)
            digest = hashlib.sha256(meaning(found.resource).encode()).hexdigest()[:16] if found else ""
            yield Written(*names, document.file, line, body, digest, not prefix, value)


def beside(text: str, documents: Sequence[Document], default_namespace: str) -> Iterator[Written]:
    """The documents of a file that mean nothing to a mesh and something to others, such as releases.

    `digest` is of their text: a reader may tell by it whether one has changed. A name may be missing.
    """
    pieces: list[tuple[int, str]] = []
    for document in documents:
        for prefix, value in objects(document.value):
            if not isinstance(value, dict) or not str(value.get("apiVersion")).startswith(_OTHERS):
                continue
            pieces = pieces or list(parts(text))
            line, body = (document.line_of(prefix), as_yaml(value)) if prefix else _own_text(pieces, document)
            names = _names(value, default_namespace) or (str(value.get("kind")), default_namespace, "")
            digest = hashlib.sha256(body.encode()).hexdigest()[:16]
            yield Written(*names, document.file, line, body, digest, not prefix, value)


def _names(value: Any, default_namespace: str) -> tuple[str, str, str] | None:
    """Kind, namespace and name of a Kubernetes object."""
    metadata = value.get("metadata") if isinstance(value, dict) else None
    if not isinstance(metadata, dict) or not value.get("kind") or not metadata.get("name"):
        return None
    kind, group = str(value["kind"]), str(value.get("apiVersion")).rpartition("/")[0]
    if kind == "Gateway" and group == _GATEWAY_API:  # Istio has another, and one mesh may have both
        kind = f"{kind}.{group}"
    return kind, str(metadata.get("namespace") or default_namespace), str(metadata["name"])


def _own_text(pieces: Sequence[tuple[int, str]], document: Document) -> tuple[int, str]:
    """The text of a document that is one resource, and its first line in the file."""
    first, text = next(piece for piece in reversed(pieces) if piece[0] <= document.line)
    lines = text.splitlines()
    skipped = next((at for at, line in enumerate(lines) if line.strip() and not line.startswith("---")), 0)
    return first + skipped, "\n".join(lines[skipped:]).rstrip() + "\n"
