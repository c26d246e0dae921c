"""What mesh tests share: YAML to resources and views."""

from __future__ import annotations

from pathlib import Path

from windvane.mesh.build import build_view
from windvane.mesh.decode import decode
from windvane.mesh.findings import Finding
from windvane.mesh.models import Resource
from windvane.mesh.view import MeshView
from windvane.mesh.yaml_source import read_documents

DATA = Path(__file__).parent / "data"


def resources(text: str, namespace: str = "default") -> list[Resource]:
    """Resources of a text that must be without fault of form."""
    documents, findings = read_documents(text, "mesh.yaml")
    loaded = []
    for document in documents:
        found, problems = decode(document, namespace)
        loaded += found
        findings += [problem for problem in problems if problem.level == "error"]
    assert not findings, findings
    return [item.resource for item in loaded]


def view_of(text: str, namespace: str = "default") -> MeshView:
    return build_view(resources(text, namespace))


def described(finding: Finding) -> str:
    """A finding as the fixtures' footers write it."""
    subject = " ".join(part for part in (finding.resource, finding.path) if part)
    return f"{finding.line}: {finding.level} [{finding.code}] {subject}: {finding.message}"
