"""Files of service-level objectives, in YAML like the mesh's other resources.

apiVersion: windvane.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: reviews, namespace: default}
spec:
  service: reviews            # NAME, NAME.NAMESPACE or a host
  period: 30d
  errors: {objective: 99.9}
  latency: {objective: 99, threshold: 300ms}
"""

from __future__ import annotations

from dataclasses import dataclass

from windvane.alerting.slo import Slo
from windvane.kit.errors import BadInputError
from windvane.kit.strict_yaml import Document, Mapping
from windvane.kit.values import parse_duration
from windvane.kit.yaml_nodes import FileError

API_VERSION = "windvane.dev/v1alpha1"
KIND = "ServiceLevelObjective"
DAY = 86_400.0
_MOST_DAYS = 90
_REPORTERS = ("destination", "source", "waypoint")


@dataclass(frozen=True, slots=True)
class Objective:
    """An objective by its name, and the days its budget is for."""

    name: str
    slo: Slo
    days: int


def read(text: str, file: str) -> list[Objective]:
    """All objectives of a file; `FileError` with every problem."""
    document = Document(file)
    found = [one for root in document.roots(text) if (one := _objective(root)) is not None]
    names = [one.name for one in found]
    for name in sorted({name for name in names if names.count(name) > 1}):
        document.problem(None, "metadata.name", f"{name} is given twice")
    if not found and not document.problems:
        document.problem(None, "", f"no {KIND}")
    if document.problems:
        raise FileError(sorted(document.problems, key=lambda one: (one.line, one.column)))
    return found


def _objective(root: Mapping) -> Objective | None:
    before = len(root.document.problems)
    for field, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        node = root.field_node(field)
        if (given := root.text(field)) != wanted:
            root.document.problem(node, field, f"must be {wanted}, not {given or 'absent'}")
    metadata = root.mapping("metadata")
    name, namespace = metadata.text("name"), metadata.text("namespace", "default")
    metadata.text_map("labels")
    metadata.text_map("annotations")
    metadata.done()
    if not name:
        root.document.problem(root.node, "metadata.name", "is missing")
    spec = root.mapping("spec")
    root.done()
    found = _spec(spec, namespace)
    return None if found is None or len(root.document.problems) > before else Objective(name, *found)


def _spec(spec: Mapping, namespace: str) -> tuple[Slo, int] | None:
    service = spec.text("service")
    days = spec.read("period", _days, 30)
    reporter = spec.read("reporter", _reporter, "destination")
    minimum = spec.integer("minimum", 5)
    errors, latency = spec.mapping("errors"), spec.mapping("latency")
    objective, fast = errors.read("objective", _percent, 0.0), latency.read("objective", _percent, 0.0)
    threshold = latency.optional_duration("threshold")
    if not objective and not errors.document.problems:
        errors.document.problem(errors.node or spec.node, errors.path_of("objective"), "is missing")
    for one in (errors, latency, spec):
        one.done()
    if latency.node is not None and threshold is None:
        latency.problem("", "threshold is missing")
    host = service if "." in service or not service else f"{service}.{namespace}"
    if spec.document.problems:
        return None
    try:
        return Slo(host, objective, threshold, fast or objective, minimum, reporter), days
    except BadInputError as error:
        spec.problem("", error.message)
    return None


def _days(text: str) -> int:
    days = parse_duration(text) / DAY
    if days != int(days) or not 1 <= days <= _MOST_DAYS:
        raise ValueError(f"must be whole days, 1d to {_MOST_DAYS}d, not {text}")
    return int(days)


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
