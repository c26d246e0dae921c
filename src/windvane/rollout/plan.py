"""Canary objects: how a release is to go. Fields have Flagger's names where they mean what Flagger's do.

apiVersion: windvane.dev/v1alpha1
kind: Canary
metadata: {name: reviews, namespace: default}
spec:
  service: {name: reviews}
  baseline: v1                # subsets of the VirtualService's destinations, and values of the label `version`
  canary: v2
  suspend: false              # hold where it is
  progressDeadlineSeconds: 7200
  analysis:
    interval: 1m              # between looks
    stepWeights: [5, 20, 50]  # or stepWeight and maxWeight
    hold: 3m                  # the least time at a weight
    confirmPromotion: false   # wait for `windvane canary promote`
    alpha: 0.05
    tolerated: 1
    margin: 2
    acceptable: 0.005
"""

from __future__ import annotations

from dataclasses import dataclass

from windvane.analytics.releases.judge import Settings
from windvane.kit.errors import BadInputError
from windvane.kit.strict_yaml import Document, Mapping
from windvane.kit.yaml_nodes import FileError

API_VERSION = "windvane.dev/v1alpha1"
KIND = "Canary"
_DEADLINE = 7_200


@dataclass(frozen=True, slots=True)
class Plan:
    """A release: names, weights of the canary in their order (percent), and seconds between looks and at a weight.

    After the last weight the canary is promoted (100) if it is proven safe; when `deadline` seconds are over before
    that, or it has regressed, it gets 0.
    """

    name: str
    namespace: str
    service: str
    baseline: str
    canary: str
    steps: tuple[int, ...]
    interval: float
    hold: float
    deadline: float
    suspend: bool
    confirm: bool
    settings: Settings


def read(text: str, file: str) -> Plan:
    """The plan of a file with one Canary; `FileError` with every problem."""
    document = Document(file)
    roots = document.roots(text)
    if not document.problems and len(roots) != 1:
        document.problem(None, "", f"has {len(roots)} objects, one {KIND} is needed")
    found = None if document.problems else _canary(roots[0])
    if document.problems or found is None:
        raise FileError(sorted(document.problems, key=lambda one: (one.line, one.column)))
    return found


def _canary(root: Mapping) -> Plan | None:
    document = root.document
    for field, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        node = root.field_node(field)
        if (given := root.text(field)) != wanted:
            document.problem(node, field, f"must be {wanted}, not {given or 'absent'}")
    metadata, spec = root.mapping("metadata"), root.mapping("spec")
    name, namespace = metadata.text("name"), metadata.text("namespace", "default")
    metadata.text_map("labels")
    metadata.text_map("annotations")
    service = spec.mapping("service")
    host = service.text("name", name)
    names = {field: spec.text(field) for field in ("baseline", "canary")}
    for field, value in names.items():
        if not value:
            document.problem(spec.node, spec.path_of(field), "is missing")
    if not name:
        document.problem(root.node, "metadata.name", "is missing")
    deadline = spec.integer("progressDeadlineSeconds", _DEADLINE)
    suspend = spec.boolean("suspend", False)
    analysis = spec.mapping("analysis")
    steps, interval = _steps(analysis), analysis.duration("interval", 60.0)
    hold, confirm = analysis.duration("hold", interval), analysis.boolean("confirmPromotion", False)
    settings = _settings(analysis)
    for one in (root, metadata, spec, service, analysis):
        one.done()
    if interval < 1:
        document.problem(analysis.node, analysis.path_of("interval"), "must be a second at least")
    if names["baseline"] == names["canary"]:
        document.problem(spec.node, spec.path_of("canary"), "is the baseline")
    if settings is None or document.problems:
        return None
    return Plan(
        name, namespace, host, names["baseline"], names["canary"], steps, interval, hold, deadline, suspend, confirm,
        settings,
    )  # fmt: skip


def _steps(analysis: Mapping) -> tuple[int, ...]:
    texts, node = analysis.texts("stepWeights"), analysis.node
    each, most = analysis.integer("stepWeight", 0), analysis.integer("maxWeight", 50)
    try:
        steps = [int(text) for text in texts] or (list(range(each, most + 1, each)) if each > 0 else [5, 20, 50])
    except ValueError:
        steps = []
    if not steps or sorted(set(steps)) != steps or not 0 < steps[0] <= steps[-1] < 100:
        analysis.document.problem(node, analysis.path_of("stepWeights"), "must be rising percentages from 1 to 99")
    if texts and each:
        analysis.document.problem(node, analysis.path_of("stepWeight"), "is of no use beside stepWeights")
    return tuple(steps)


def _settings(analysis: Mapping) -> Settings | None:
    usual = Settings()
    alpha, tolerated = analysis.number("alpha", usual.alpha), analysis.number("tolerated", usual.tolerated)
    margin, acceptable = analysis.number("margin", usual.margin), analysis.number("acceptable", usual.acceptable)
    try:
        return Settings(alpha, tolerated, margin, acceptable)
    except BadInputError as error:
        analysis.problem("", error.message)
    return None
