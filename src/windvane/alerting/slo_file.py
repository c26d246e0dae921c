"""Files of service-level objectives, in YAML like the mesh's other resources.

apiVersion: windvane.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: reviews, namespace: default}
spec:
  service: reviews            # NAME, NAME.NAMESPACE or a host
  period: 30d
  errors: {objective: 99.9}
  latency: {objective: 99, threshold: 300ms}

OpenSLO's `SLO` (openslo/v1) is read too, see `open_slo`.
"""

from __future__ import annotations

from dataclasses import dataclass

from windvane.alerting import open_slo
from windvane.alerting.slo import Indicator, Slo, indicators
from windvane.kit.errors import BadInputError
from windvane.kit.strict_yaml import Document, Mapping
from windvane.kit.yaml_nodes import FileError

API_VERSION = "windvane.dev/v1alpha1"
KIND = "ServiceLevelObjective"
_REPORTERS = ("destination", "source", "waypoint")


@dataclass(frozen=True, slots=True)
class Objective:
    """An objective by its name and namespace, and where it is written."""

    name: str
    slo: Slo
    namespace: str = "default"
    description: str = ""
    file: str = ""
    line: int = 0

    @property
    def days(self) -> int:
        """The days its budget is for."""
        return self.slo.days

    @property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """What its series and alerts carry."""
        return ("slo", self.name), ("namespace", self.namespace), ("service", self.slo.name)

    def indicators(self) -> list[Indicator]:
        """What it measures."""
        return indicators(self.slo, self.labels)


def read(text: str, file: str) -> list[Objective]:
    """All objectives of a file of nothing else; `FileError` with every problem."""
    document = Document(file)
    found = [one for root in document.roots(text) if (one := _objective(root)) is not None]
    _once(document, found)
    if not found and not document.problems:
        document.problem(None, "", f"no {KIND}")
    return _checked(document, found)


def read_among(text: str, file: str) -> list[Objective]:
    """The objectives of a file of the mesh, whose other documents are left to others."""
    document = Document(file)
    if KIND not in text and open_slo.API_VERSION not in text:
        return []
    roots = document.roots(text)
    if document.problems:  # who reads the mesh tells of what is no YAML
        return []
    found = [one for root in roots if _is_ours(root) and (one := _objective(root)) is not None]
    _once(document, found)
    return _checked(document, found)


def _is_ours(root: Mapping) -> bool:
    kind, version = root.peek("kind"), root.peek("apiVersion")
    return kind == KIND or (kind == open_slo.KIND and version.startswith(open_slo.GROUP))


def _once(document: Document, found: list[Objective]) -> None:
    names = [(one.namespace, one.name) for one in found]
    for namespace, name in sorted({name for name in names if names.count(name) > 1}):
        document.problem(None, "metadata.name", f"{name} of namespace {namespace} is given twice")


def _checked(document: Document, found: list[Objective]) -> list[Objective]:
    if document.problems:
        raise FileError(sorted(document.problems, key=lambda one: (one.line, one.column)))
    return found


def _objective(root: Mapping) -> Objective | None:
    before = len(root.document.problems)
    is_open = root.peek("apiVersion").startswith(open_slo.GROUP)
    version, kind = (open_slo.API_VERSION, open_slo.KIND) if is_open else (API_VERSION, KIND)
    for field, wanted in (("apiVersion", version), ("kind", kind)):
        node = root.field_node(field)
        if (given := root.text(field)) != wanted:
            root.document.problem(node, field, f"must be {wanted}, not {given or 'absent'}")
    metadata = root.mapping("metadata")
    name, namespace = metadata.text("name"), metadata.text("namespace", "default")
    if is_open:
        metadata.text("displayName")
    metadata.text_map("labels")
    metadata.text_map("annotations")
    metadata.done()
    if not name:
        root.document.problem(root.node, "metadata.name", "is missing")
    spec = root.mapping("spec")
    root.done()
    description = spec.text("description")
    slo = open_slo.read(spec) if is_open else _spec(spec, namespace)
    if slo is None or len(root.document.problems) > before:
        return None
    line = root.node.start_mark.line + 1 if root.node is not None else 0
    return Objective(name, slo, namespace, description, root.document.file, line)


def _spec(spec: Mapping, namespace: str) -> Slo | None:
    before = len(spec.document.problems)
    service = spec.text("service")
    days = spec.read("period", open_slo.days_of, 30)
    reporter = spec.read("reporter", _reporter, "destination")
    minimum = spec.integer("minimum", 5)
    errors, latency = spec.mapping("errors"), spec.mapping("latency")
    objective, fast = errors.read("objective", _percent, 0.0), latency.read("objective", _percent, 0.0)
    threshold = latency.optional_duration("threshold")
    if not objective and len(spec.document.problems) == before and (errors.node is not None or latency.node is None):
        errors.document.problem(errors.node or spec.node, errors.path_of("objective"), "is missing")
    for one in (errors, latency, spec):
        one.done()
    if latency.node is not None and threshold is None:
        latency.problem("", "threshold is missing")
    if latency.node is not None and not fast and not objective:
        latency.problem("", "objective is missing")
    host = service if "." in service or not service else f"{service}.{namespace}"
    if len(spec.document.problems) > before:
        return None
    try:
        return Slo(host, objective, threshold, fast or objective, minimum, reporter, days)
    except BadInputError as error:
        spec.problem("", error.message)
    return None


def _percent(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 100:
        raise ValueError(f"must lie between 0 and 100 percent, not {text}")
    return value


def _reporter(text: str) -> str:
    if text not in _REPORTERS:
        raise ValueError(f"must be one of {', '.join(_REPORTERS)}, not {text}")
    return text
