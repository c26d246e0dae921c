"""Where the mesh's own configuration stands: an IstioOperator, the ConfigMap `istio`, or a file of nothing else.

The text inside of a ConfigMap, and a file that `--mesh-config` names, are read like any YAML here and grafted into the
object that they belong to, so that what is wrong in them is told at its own line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from windvane.mesh.findings import Finding
from windvane.mesh.yaml_source import Document, Path, read_documents

_TEXT: Path = ("data", "mesh")
_FIELD: Path = ("spec", "meshConfig")
FILE_OBJECT = "mesh-config"
"""What the object is called that a file of `--mesh-config` is made into."""


def is_mesh_map(value: Any) -> bool:
    """Whether an object is the ConfigMap with the mesh's configuration (`istio`, or `istio-REVISION`)."""
    if not isinstance(value, Mapping) or value.get("kind") != "ConfigMap" or value.get("apiVersion") != "v1":
        return False
    metadata, data = value.get("metadata"), value.get("data")
    name = str(metadata.get("name", "")) if isinstance(metadata, Mapping) else ""
    return (name == "istio" or name.startswith("istio-")) and isinstance(data, Mapping) and "mesh" in data


def with_mesh_config(value: Mapping[str, Any], document: Document, prefix: Path) -> tuple[Document, list[Finding]]:
    """The ConfigMap `value` of a document with the YAML of its `data.mesh` read; the new document is of it alone."""
    text = value["data"]["mesh"]
    if not isinstance(text, str):
        return replace(document, value=value), []
    # A block scalar begins in the line after its key: its own line 1 is the one below.
    above = document.line_of((*prefix, *_TEXT))
    inner, findings = read_documents(text, document.file)
    findings = [replace(item, line=item.line + above) for item in findings]
    read = inner[0].value if inner else {}
    lines = _below(inner[0].lines, (*prefix, *_TEXT), above) if inner else {}
    opened = {**value, "data": {**value["data"], "mesh": read}}
    columns = {path: place for path, place in document.columns.items() if path != (*prefix, *_TEXT)}
    return replace(document, value=opened, lines={**document.lines, **lines}, columns=columns), findings


def from_file(text: str, file: str, namespace: str) -> tuple[list[Document], list[Finding]]:
    """A file that holds the mesh's configuration and nothing else, as the IstioOperator that would carry it.

    A file of a whole object (an IstioOperator, a ConfigMap) is taken as it is.
    """
    documents, findings = read_documents(text, file)
    return [_operator(document, namespace) for document in documents], findings


def _operator(document: Document, namespace: str) -> Document:
    if not isinstance(document.value, Mapping):
        return document
    if "kind" in document.value:
        return document
    value = {
        "apiVersion": "install.istio.io/v1alpha1",
        "kind": "IstioOperator",
        "metadata": {"name": FILE_OBJECT, "namespace": namespace},
        "spec": {"meshConfig": document.value},
    }
    columns = {(*_FIELD, *path): place for path, place in document.columns.items()}
    return Document(value, document.file, document.line, _below(document.lines, _FIELD, 0), columns)


def _below(lines: Mapping[Path, int], path: Path, shift: int) -> dict[Path, int]:
    return {(*path, *inner): line + shift for inner, line in lines.items()}
