"""Flagger's own objects: what is read, what is told, what is refused."""

from __future__ import annotations

import pytest

from windvane.kit.yaml_nodes import FileError
from windvane.rollout.model import Target
from windvane.rollout.parts import Templates
from windvane.rollout.plan import read, templates
from windvane.rollout.queries import Template

# The example of Flagger's documentation (usage/how-it-works), with what its other pages add.
PODINFO = """\
apiVersion: flagger.app/v1beta1
kind: Canary
metadata:
  name: podinfo
  namespace: test
spec:
  provider: istio
  targetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: podinfo
  progressDeadlineSeconds: 60
  autoscalerRef:
    apiVersion: autoscaling/v2
    kind: HorizontalPodAutoscaler
    name: podinfo
  service:
    port: 9898
    targetPort: 9898
    gateways: [istio-system/public-gateway]
    hosts: [app.example.com]
    trafficPolicy: {tls: {mode: DISABLE}}
    match: [{uri: {prefix: /}}]
    retries: {attempts: 3, perTryTimeout: 1s, retryOn: "gateway-error"}
    headers: {request: {add: {x-some-header: "value"}}}
    corsPolicy: {allowOrigins: [{regex: ".*"}]}
  skipAnalysis: false
  analysis:
    interval: 1m
    threshold: 10
    maxWeight: 50
    stepWeight: 10
    stepWeightPromotion: 25
    primaryReadyThreshold: 50
    metrics:
      - name: request-success-rate
        thresholdRange: {min: 99}
        interval: 1m
      - name: request-duration
        thresholdRange: {max: 500}
        interval: 30s
      - name: 404s
        templateRef: {name: not-found-percentage, namespace: istio-system}
        templateVariables: {direction: inbound}
        thresholdRange: {max: 5}
    alerts:
      - {name: on-call, severity: error, providerRef: {name: on-call, namespace: flagger}}
    webhooks:
      - {name: gate, type: confirm-rollout, url: "http://flagger-loadtester.test/gate/check"}
      - name: load-test
        url: http://flagger-loadtester.test/
        timeout: 5s
        muteAlert: true
        metadata: {cmd: "hey -z 1m -q 10 -c 2 http://podinfo-canary.test:9898/"}
"""
NOT_FOUND = """\
apiVersion: flagger.app/v1beta1
kind: MetricTemplate
metadata: {name: not-found-percentage, namespace: istio-system}
spec:
  provider: {type: prometheus, address: "http://prometheus.istio-system:9090"}
  query: |
    100 - sum(rate(istio_requests_total{reporter="destination", direction="{{ variables.direction }}",
      destination_workload_namespace="{{ namespace }}", destination_workload="{{ target }}",
      response_code!="404"}[{{ interval }}])) / sum(rate(istio_requests_total{reporter="destination",
      destination_workload_namespace="{{ namespace }}", destination_workload="{{ target }}"}[{{ interval }}])) * 100
"""
KNOWN: Templates = templates(NOT_FOUND, "metrics.yaml")


def test_what_flagger_documents() -> None:
    plan = read(PODINFO, "canary.yaml", KNOWN)
    assert plan == read(f"{PODINFO}---\n{NOT_FOUND}", "canary.yaml")
    assert (plan.steps, plan.threshold, plan.promotion_step, plan.hold) == ((10, 20, 30, 40, 50), 10, 25, 60)
    assert plan.routed == (Target("podinfo-primary"), Target("podinfo-canary"))
    assert plan.question() == {
        "service": "podinfo,podinfo-primary,podinfo-canary.test", "baseline": "podinfo-primary", "canary": "podinfo",
        "by": "workload",
    }  # fmt: skip
    rate, duration, missing = plan.metrics
    own = 'reporter="destination",destination_workload_namespace="test",destination_workload="podinfo"'
    assert rate.query == (
        f'sum(rate(istio_requests_total{{{own},response_code!~"5.*"}}[1m])) '
        f"/ sum(rate(istio_requests_total{{{own}}}[1m])) * 100"
    )
    assert duration.query == (
        f"histogram_quantile(0.99, sum(rate(istio_request_duration_milliseconds_bucket{{{own}}}[30s])) by (le))"
    )
    assert (rate.minimum, rate.maximum, duration.maximum, missing.maximum) == (99, None, 500, 5)
    assert 'direction="inbound"' in missing.query
    assert "{{" not in missing.query
    gate, load = plan.hooks
    assert (gate.kind, gate.timeout, load.kind, load.timeout) == ("confirm-rollout", 10, "rollout", 5)
    told = " ".join(plan.notes)
    for field in ("autoscalerRef", "progressDeadlineSeconds", "service.gateways", "service.retries", "analysis.alerts"):
        assert f"spec.{field} has no effect" in told
    assert plan.deadline == 7_200


def test_subsets_instead_of_services() -> None:
    named = PODINFO.replace(
        "  namespace: test\n",
        "  namespace: test\n  annotations: {windvane.dev/baseline: v1, windvane.dev/canary: v2}\n",
    )
    plan = read(named, "canary.yaml", KNOWN)
    assert plan.routed == (Target("podinfo", "v1"), Target("podinfo", "v2"))
    assert plan.question() == {"service": "podinfo.test", "baseline": "v1", "canary": "v2", "by": "version"}
    assert 'destination_service_name="podinfo",destination_service_namespace="test",destination_version="v2"' in (
        plan.metrics[0].query
    )
    gateway = read(named.replace("provider: istio", "provider: gatewayapi:v1"), "canary.yaml", KNOWN)
    assert gateway.routed == (Target("podinfo-v1"), Target("podinfo-v2"))
    assert 'reporter="source",destination_service_name=~"podinfo|podinfo-v1|podinfo-v2"' in gateway.metrics[0].query


STEPS = "    maxWeight: 50\n    stepWeight: 10\n    stepWeightPromotion: 25\n"


@pytest.mark.parametrize(
    ("analysis", "strategy"),
    [
        ("    iterations: 10\n    match:\n      - headers: {x-canary: {regex: '.*insider.*'}}\n"
         "      - headers: {cookie: {regex: '^(.*?;)?(canary=always)(;.*)?$'}}\n", "match"),
        ("    iterations: 10\n    mirror: true\n    mirrorWeight: 100\n", "blue-green"),
        ("    stepWeights: [1, 2, 10, 80]\n    sessionAffinity: {cookieName: flagger-cookie, maxAge: 21600}\n",
         "steps"),
        ("    stepWeight: 50\n", "steps"),
    ],
)  # fmt: skip
def test_its_strategies(analysis: str, strategy: str) -> None:
    plan = read(PODINFO.replace(STEPS, analysis), "canary.yaml", KNOWN)
    assert plan.strategy == strategy
    assert plan.steps == ({"    step": (1, 2, 10, 80)}.get(analysis[:8], ()) if "50" not in analysis else (50,))
    assert len(plan.match) == (2 if strategy == "match" else 0)
    assert plan.affinity is None or (plan.affinity.name, plan.affinity.max_age) == ("flagger-cookie", 21_600)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("provider: istio", "provider: linkerd", "canary.yaml:7:3: spec.provider: 'linkerd' is not there"),
        ("    name: podinfo\n  progress", "    name: \n  progress", "spec.targetRef.name: is missing"),
        ("  autoscalerRef:\n", "  ingressRef: {name: a}\n  autoscalerRef:\n",
         "spec.ingressRef: cannot be honoured: its provider is not there"),
        ("    port: 9898\n", "    port: 9898\n    meshName: global\n", "spec.service.meshName: cannot be honoured"),
        ("    threshold: 10\n", "    threshhold: 10\n", "spec.analysis.threshhold: unknown field"),
        (STEPS, "", "spec.analysis: needs stepWeight, stepWeights or iterations"),
        (STEPS, "    match: [{headers: {a: {exact: b}}}]\n    stepWeight: 5\n", "match: needs iterations"),
        (STEPS, "    iterations: 3\n    match: [{headers: {a: {glob: b}}}]\n",
         "spec.analysis.match[0].headers.a.glob: unknown field"),
        (STEPS, "    iterations: 3\n    match: [{headers: {a: {regex: 'a('}}}]\n", "spec.analysis.match[0]: "),
        ("namespace: istio-system}\n        templateV", "namespace: elsewhere}\n        templateV",
         "there is no MetricTemplate elsewhere/not-found-percentage in the files"),
        ("{direction: inbound}", "{}", "{{ variables.direction }} is not among templateVariables"),
        ("name: request-duration", "name: latency", "'latency' is not built in"),
        ("thresholdRange: {min: 99}", "thresholdRange: {min: 99, max: 5}", "min is above max"),
        ("thresholdRange: {max: 500}", "thresholdRange: {}", "needs min, max or both"),
        ("type: confirm-rollout, url: \"http://flagger-loadtester.test/gate/check\"", "type: confirm-rollout",
         "webhooks[0].url: is missing"),
        ("url: http://flagger-loadtester.test/\n", "url: loadtester\n", "'loadtester' is no http or https address"),
        ("type: confirm-rollout", "type: confirm", "'confirm' is none of confirm-rollout, pre-rollout"),
        ("flagger.app/v1beta1", "flagger.app/v1alpha3", "must be flagger.app/v1beta1, not flagger.app/v1alpha3"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_refused(old: str, new: str, message: str) -> None:
    assert old in PODINFO
    with pytest.raises(FileError) as error:
        read(PODINFO.replace(old, new), "canary.yaml", KNOWN)
    assert message in error.value.message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("type: prometheus", "type: datadog", "'datadog' cannot be asked, prometheus can"),
        ("  query: |", "  querry: |", "spec.query: is missing"),
        ("name: not-found-percentage, ", "", "metadata.name: is missing"),
    ],
)
def test_templates_that_cannot_be_used(old: str, new: str, message: str) -> None:
    with pytest.raises(FileError) as error:
        templates(NOT_FOUND.replace(old, new), "metrics.yaml")
    assert message in error.value.message


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{{ if x }}1{{ end }}", "{{ if x }} cannot be filled in"),
        ("sum(rate(x[{{ interval }}])", "parse error"),
        ('up{ingress="{{ ingress }}"}', "{{ ingress }} cannot be filled in"),
    ],
)
def test_queries_that_are_none(query: str, message: str) -> None:
    key = ("istio-system", "not-found-percentage")
    with pytest.raises(FileError) as error:
        read(PODINFO, "canary.yaml", {key: Template(key[1], key[0], query)})
    assert message in error.value.message
