"""Canary objects: how a release is to go. Fields have Flagger's names where they mean what Flagger's do.

apiVersion: windvane.dev/v1alpha1
kind: Canary
metadata: {name: reviews, namespace: default}
spec:
  provider: istio             # or gatewayapi:v1: weights of an HTTPRoute
  service: {name: reviews}    # baselineService, canaryService: where versions are services of their own
  routeRef: {name: reviews}   # the one VirtualService or HTTPRoute to change, where several route the versions
  baseline: v1                # subsets of the VirtualService's destinations, and values of the label `version`
  canary: v2
  suspend: false              # hold where it is
  skipAnalysis: false         # promote at once
  progressDeadlineSeconds: 7200
  analysis:
    interval: 1m              # between looks
    stepWeights: [5, 20, 50]  # or stepWeight and maxWeight
    stepWeightPromotion: 0    # from the last weight to 100 in such steps; 0: at once
    iterations: 0             # looks without weights: with match the canary gets what matches, without it copies only
    match: []                 # HTTPMatchRequests, and cookies
    mirror: false             # copy requests to the canary before it gets any
    mirrorWeight: 100
    sessionAffinity: {cookieName: seen, maxAge: 86400}
    hold: 3m                  # the least time at a weight
    confirmPromotion: false   # wait for `windvane canary approve`
    threshold: 1              # failed checks (metrics, webhooks) after which it is rolled back
    metrics: []
    webhooks: []
    alpha: 0.05
    tolerated: 1
    margin: 2
    acceptable: 0.005
"""

from __future__ import annotations

from windvane.analytics.releases.judge import Settings
from windvane.kit.errors import BadInputError
from windvane.kit.strict_yaml import Document, Mapping
from windvane.kit.yaml_nodes import FileError
from windvane.rollout import experiment, flagger, parts
from windvane.rollout.model import Hook, Plan, RouteKind, Target
from windvane.rollout.queries import Names, Template

API_VERSION = "windvane.dev/v1alpha1"
KIND, EXPERIMENT = "Canary", "Experiment"
PROVIDERS: dict[str, RouteKind] = {
    "": "VirtualService", "istio": "VirtualService", "gatewayapi": "HTTPRoute", "gatewayapi:v1": "HTTPRoute",
    "gatewayapi:v1beta1": "HTTPRoute",
}  # fmt: skip
_DEADLINE = 7_200

__all__ = ["API_VERSION", "KIND", "Plan", "read", "templates"]


def read(text: str, file: str, known: parts.Templates | None = None) -> Plan:
    """The plan of a text with one Canary, Windvane's or Flagger's, or Experiment; `FileError` with every problem.

    Other objects may stand in the same text, MetricTemplates among them; `known` are those of other files.
    """
    document = Document(file)
    roots = document.roots(text)
    canaries = [one for one in roots if _is_plan(one)]
    canaries = canaries or [one for one in roots if not _is_template(one)]  # what is wrong with the one there is
    if not document.problems and len(canaries) != 1:
        document.problem(None, "", f"has {len(canaries)} releases or objects that are none, one {KIND} is needed")
    if document.problems:
        raise FileError(document.problems)
    own = flagger.templates([one for one in roots if _is_template(one)])
    found = _canary(canaries[0], {**(known or {}), **own})
    if document.problems or found is None:
        raise FileError(sorted(document.problems, key=lambda one: (one.line, one.column)))
    return found


def templates(text: str, file: str) -> dict[tuple[str, str], Template]:
    """The MetricTemplates among the objects of a text; `FileError` for those that cannot be used."""
    document = Document(file)
    found = flagger.templates([one for one in document.roots(text) if _is_template(one)])
    if document.problems:
        raise FileError(document.problems)
    return found


def _is_plan(root: Mapping) -> bool:
    group = root.peek("apiVersion").partition("/")[0]
    return root.peek("kind") in (KIND, EXPERIMENT) and f"{group}/" in (
        flagger.GROUP,
        f"{API_VERSION.partition('/')[0]}/",
    )


def _is_template(root: Mapping) -> bool:
    return root.peek("kind") == flagger.TEMPLATE and root.peek("apiVersion").startswith(flagger.GROUP)


def _canary(root: Mapping, known: parts.Templates) -> Plan | None:
    if root.peek("apiVersion").startswith(flagger.GROUP):
        return flagger.canary(root, known)
    document = root.document
    kind = root.peek("kind")
    for field, known_as in (("apiVersion", (API_VERSION, flagger.API_VERSION)), ("kind", (KIND, EXPERIMENT))):
        node = root.field_node(field)
        if (given := root.text(field)) not in known_as:
            document.problem(node, field, f"must be {known_as[0]}, not {given or 'absent'} (or {known_as[1]})")
    metadata, spec = root.mapping("metadata"), root.mapping("spec")
    name, namespace = metadata.text("name"), metadata.text("namespace", "default")
    metadata.text_map("labels")
    metadata.text_map("annotations")
    names = {field: spec.text(field) for field in ("baseline", "canary")}
    for field, value in names.items():
        if not value:
            document.problem(spec.node, spec.path_of(field), "is missing")
    if not name:
        document.problem(root.node, "metadata.name", "is missing")
    if names["baseline"] == names["canary"]:
        document.problem(spec.node, spec.path_of("canary"), "is the baseline")
    for one in (root, metadata):
        one.done()
    plan = _plan(spec, name, namespace, names, known)
    if kind == EXPERIMENT and plan is not None and plan.strategy != "match":
        document.problem(spec.node, "spec.analysis", "an Experiment needs match and iterations: who gets which version")
    return plan


def _plan(spec: Mapping, name: str, namespace: str, names: dict[str, str], known: parts.Templates) -> Plan | None:
    analysis, service = spec.mapping("analysis"), spec.mapping("service")
    host = service.text("name", name)
    targets = _targets(service)
    kind, route_name = _routing(spec)
    interval = analysis.duration("interval", 60.0)
    steps, hold = parts.steps(analysis), analysis.duration("hold", interval)
    iterations, confirm = (
        parts.whole(analysis, "iterations", 0, 0, 10_000),
        analysis.boolean("confirmPromotion", False),
    )
    services = tuple(dict.fromkeys((host, *(one.service for one in targets or ()))))
    words = Names(name, namespace, f"{host}-{names['canary']}", host, "version", names["canary"], services)
    settings = _settings(analysis)
    plan = Plan(
        name, namespace, host, names["baseline"], names["canary"], steps, interval,
        hold, spec.integer("progressDeadlineSeconds", _longest(len(steps), hold, iterations, interval)),
        spec.boolean("suspend", False), confirm, settings or Settings(), "version", targets, kind, route_name,
        iterations, parts.matches(analysis), parts.mirrored(analysis), parts.affinity(analysis),
        (*parts.hooks(analysis, gates_without_url=True), *_confirmation(confirm)),
        parts.metrics(analysis, words, known), parts.whole(analysis, "threshold", 1, 1, 10_000),
        parts.whole(analysis, "stepWeightPromotion", 0, 0, 100), spec.boolean("skipAnalysis", False),
        experiment.units(analysis, spec.document.file, (names["baseline"], names["canary"])),
    )  # fmt: skip
    parts.fitting(analysis, plan)
    for one in (spec, service, analysis):
        one.done()
    if interval < 1:
        spec.document.problem(analysis.node, analysis.path_of("interval"), "must be a second at least")
    return None if settings is None else plan


def _longest(steps: int, hold: float, iterations: int, interval: float) -> int:
    """Seconds that a release may take unless it says: three times the shortest, two hours at least."""
    return max(_DEADLINE, round(3 * (iterations * max(hold, interval) if iterations else steps * hold)))


def _confirmation(confirm: bool) -> tuple[Hook, ...]:
    return (Hook("confirm-promotion", "confirmPromotion", ""),) if confirm else ()


def _targets(service: Mapping) -> tuple[Target, Target] | None:
    base, canary = service.text("baselineService"), service.text("canaryService")
    if bool(base) != bool(canary):
        service.problem("", "baselineService and canaryService are given together, or neither is")
    if base and base == canary:
        service.problem("", "baselineService is the canaryService")
    return (Target(base), Target(canary)) if base and canary else None


def _routing(spec: Mapping) -> tuple[RouteKind, str]:
    """Which kind of object routes, and which of them if one is named."""
    node, provider = spec.field_node("provider"), spec.text("provider")
    if provider not in PROVIDERS:
        message = f"{provider!r} is none of istio, gatewayapi:v1, gatewayapi:v1beta1"
        spec.document.problem(node, spec.path_of("provider"), message)
    kind = PROVIDERS.get(provider, "VirtualService")
    reference = spec.mapping("routeRef")
    node, given = reference.field_node("kind"), reference.text("kind", kind)
    if given != kind:
        reference.document.problem(node, reference.path_of("kind"), f"{given!r}: the provider has {kind}s")
    reference.skip("apiVersion")
    name = reference.text("name")
    reference.done()
    return kind, name


def _settings(analysis: Mapping) -> Settings | None:
    usual = Settings()
    alpha, tolerated = analysis.number("alpha", usual.alpha), analysis.number("tolerated", usual.tolerated)
    margin, acceptable = analysis.number("margin", usual.margin), analysis.number("acceptable", usual.acceptable)
    try:
        return Settings(alpha, tolerated, margin, acceptable)
    except BadInputError as error:
        analysis.problem("", error.message)
    return None
