"""Flagger's own objects: `flagger.app/v1beta1` Canary and MetricTemplate.

Windvane moves traffic and judges; it neither makes workloads, services or routes nor scales them. What of an object
is only about those is accepted and told (`Plan.notes`); what would be expected to happen and cannot is refused.

The two versions are what Flagger makes: services NAME-primary and NAME-canary, workloads TARGET-primary and TARGET.
Where a service has subsets instead, two annotations name them, and the values of the label `version`:
`windvane.dev/baseline` and `windvane.dev/canary`.
"""

from __future__ import annotations

from collections.abc import Mapping as Map
from collections.abc import Sequence
from typing import Any

from windvane.analytics.releases.judge import Settings
from windvane.kit.strict_yaml import Mapping
from windvane.rollout import parts
from windvane.rollout.model import By, Plan, RouteKind, Target
from windvane.rollout.queries import Names, Template

GROUP = "flagger.app/"
API_VERSION = "flagger.app/v1beta1"
TEMPLATE = "MetricTemplate"
BASELINE, CANARY = "windvane.dev/baseline", "windvane.dev/canary"
_SETTINGS = ("alpha", "tolerated", "margin", "acceptable")
_PREFIX = "windvane.dev/"
_PROVIDERS: dict[str, RouteKind] = {
    "": "VirtualService", "istio": "VirtualService", "gatewayapi:v1": "HTTPRoute", "gatewayapi:v1beta1": "HTTPRoute",
}  # fmt: skip
_MADE = (
    "port", "portName", "targetPort", "appProtocol", "portDiscovery", "gateways", "gatewayRefs", "hosts", "delegation",
    "trafficPolicy", "match", "rewrite", "retries", "timeout", "headers", "corsPolicy", "mirror", "apex", "primary",
    "canary", "headless", "unmanagedMetadata", "trafficDistribution",
)  # fmt: skip
"""Fields of `service` by which Flagger makes objects, which in files are there already."""
_LEAST_DEADLINE = 7_200
_SOONEST = 10.0


def templates(roots: Sequence[Mapping]) -> dict[tuple[str, str], Template]:
    """MetricTemplates by namespace and name; what is wrong with one becomes problems of its document."""
    found = (_template(root) for root in roots)
    return {(one.namespace, one.name): one for one in found if one is not None}


def _template(root: Mapping) -> Template | None:
    _version(root)
    metadata, spec = root.mapping("metadata"), root.mapping("spec")
    name, namespace = metadata.text("name"), metadata.text("namespace", "default")
    metadata.skip("labels", "annotations")
    provider, query = spec.mapping("provider"), spec.text("query")
    node, kind = provider.field_node("type"), provider.text("type")
    if kind != "prometheus":
        root.document.problem(node, provider.path_of("type"), f"{kind!r} cannot be asked, prometheus can")
    provider.skip("address", "secretRef", "region", "headers", "insecureSkipVerify")
    root.skip("status")
    for field, value, place in (("name", name, metadata), ("query", query, spec)):
        if not value:
            root.document.problem(place.node or root.node, place.path_of(field), "is missing")
    for one in (root, metadata, spec, provider):
        one.done()
    return Template(name, namespace, query) if name and query else None


def _version(root: Mapping) -> None:
    node, version = root.field_node("apiVersion"), root.text("apiVersion")
    if version != API_VERSION:
        root.document.problem(node, "apiVersion", f"must be {API_VERSION}, not {version}")
    root.skip("kind")


def canary(root: Mapping, known: parts.Templates) -> Plan | None:
    """The plan of Flagger's Canary; what is wrong becomes problems of its document."""
    document = root.document
    node, kind = root.field_node("kind"), root.peek("kind")
    if kind != "Canary":
        document.problem(node, "kind", f"must be Canary, not {kind}")
    _version(root)
    root.skip("status")
    metadata, spec = root.mapping("metadata"), root.mapping("spec")
    name, namespace = metadata.text("name"), metadata.text("namespace", "default")
    annotations = metadata.text_map("annotations")
    metadata.skip("labels", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "finalizers")
    if not name:
        document.problem(root.node, "metadata.name", "is missing")
    plan = _plan(spec, name, namespace, annotations, known)
    for one in (root, metadata):
        one.done()
    return plan


def _plan(spec: Mapping, name: str, namespace: str, annotations: Map[str, str], known: parts.Templates) -> Plan | None:
    notes: list[str] = []
    route_kind = _provider(spec)
    target = _target(spec)
    service = spec.mapping("service")
    host = service.text("name", target) or target
    _told(service, notes, "objects that Flagger would make of it are yours to write", *_MADE)
    _refused(service, "AWS App Mesh is not there", "meshName", "backends")
    _told(spec, notes, "nothing is scaled", "autoscalerRef")
    _told(spec, notes, "the server that runs or judges the release is asked", "metricsServer")
    _told(spec, notes, "nothing is made that deletion would have to undo", "revertOnDeletion")
    _told(
        spec, notes, "it bounds how long pods take to become ready, and there are none here", "progressDeadlineSeconds"
    )
    _refused(spec, "its provider is not there", "ingressRef", "routeRef", "upstreamRef")
    suspend, skip = spec.boolean("suspend", False), spec.boolean("skipAnalysis", False)
    analysis = _analysis(spec)
    interval = max(_SOONEST, analysis.duration("interval", 60.0))
    steps = _steps(analysis)
    labels, targets = _versions(spec, host, target, annotations, route_kind)
    by: By = "version" if targets[0].subset or BASELINE in annotations else "workload"
    services = tuple(dict.fromkeys((host, *(one.service for one in targets))))
    reporter = "source" if route_kind == "HTTPRoute" else "destination"
    words = Names(name, namespace, target, host, by, labels[1], services, reporter)
    _told(analysis, notes, "there are no pods here", "primaryReadyThreshold", "canaryReadyThreshold")
    _told(analysis, notes, "the server's notifier tells of releases", "alerts")
    plan = Plan(
        name, namespace, host, labels[0], labels[1], steps, interval, interval,
        max(_LEAST_DEADLINE, 3 * interval * max(len(steps), 1)), suspend, False, _settings(spec, annotations), by,
        targets, route_kind, "", parts.whole(analysis, "iterations", 0, 0, 10_000), parts.matches(analysis),
        parts.mirrored(analysis), parts.affinity(analysis), parts.hooks(analysis, gates_without_url=False),
        parts.metrics(analysis, words, known), max(1, parts.whole(analysis, "threshold", 1, 0, 10_000)),
        parts.whole(analysis, "stepWeightPromotion", 0, 0, 100), skip, None, tuple(notes),
    )  # fmt: skip
    parts.fitting(analysis, plan)
    for one in (spec, service, analysis):
        one.done()
    return plan


def _provider(spec: Mapping) -> RouteKind:
    node, provider = spec.field_node("provider"), spec.text("provider")
    if provider not in _PROVIDERS:
        known = ", ".join(filter(None, _PROVIDERS))
        spec.document.problem(node, spec.path_of("provider"), f"{provider!r} is not there ({known} are)")
    return _PROVIDERS.get(provider, "VirtualService")


def _target(spec: Mapping) -> str:
    reference = spec.mapping("targetRef")
    name = reference.text("name")
    if not name:
        spec.document.problem(reference.node or spec.node, reference.path_of("name"), "is missing")
    reference.skip("apiVersion", "kind")
    reference.done()
    return name


def _analysis(spec: Mapping) -> Mapping:
    """`analysis`, or what it was called in v1alpha3."""
    if spec.has("analysis") or not spec.has("canaryAnalysis"):
        spec.skip("canaryAnalysis")
        return spec.mapping("analysis")
    return spec.mapping("canaryAnalysis")


def _steps(analysis: Mapping) -> tuple[int, ...]:
    """Weights as Flagger has them: up to 100 unless it says, which is promotion; with iterations it looks at none."""
    if analysis.has("iterations"):
        analysis.skip("stepWeight", "stepWeights", "maxWeight")
        return ()
    if not (analysis.has("stepWeight") or analysis.has("stepWeights")):
        analysis.problem("", "needs stepWeight, stepWeights or iterations")
    return parts.steps(analysis, usual=(1,), most=99)


def _versions(
    spec: Mapping, host: str, target: str, annotations: Map[str, str], kind: RouteKind
) -> tuple[tuple[str, str], tuple[Target, Target]]:
    """What the metrics call the two versions, and where their requests go."""
    base, own = annotations.get(BASELINE, ""), annotations.get(CANARY, "")
    if bool(base) != bool(own) or (base and base == own):
        spec.document.problem(spec.node, "metadata.annotations", f"{BASELINE} and {CANARY} must be two versions")
    if not base or not own:
        return (f"{target}-primary", target), (Target(f"{host}-primary"), Target(f"{host}-canary"))
    if kind == "HTTPRoute":
        return (base, own), (Target(f"{host}-{base}"), Target(f"{host}-{own}"))
    return (base, own), (Target(host, base), Target(host, own))


def _settings(spec: Mapping, annotations: Map[str, str]) -> Settings:
    """The judge's, which Flagger has no fields for: annotations `windvane.dev/alpha`, `tolerated` and so on."""
    given: dict[str, Any] = {}
    for field in _SETTINGS:
        if (text := annotations.get(_PREFIX + field)) is not None:
            try:
                given[field] = float(text)
            except ValueError:
                spec.document.problem(spec.node, f"metadata.annotations.{_PREFIX}{field}", f"{text!r} is no number")
    found = parts.read_with(lambda: Settings(**given), spec)
    return found if isinstance(found, Settings) else Settings()


def _told(mapping: Mapping, notes: list[str], why: str, *fields: str) -> None:
    notes += [f"{mapping.path_of(field)} has no effect: {why}" for field in mapping.skip(*fields)]


def _refused(mapping: Mapping, why: str, *fields: str) -> None:
    for field in fields:
        if mapping.has(field):
            mapping.problem(field, f"cannot be honoured: {why}")
            mapping.skip(field)
