"""OpenSLO's objectives: what is read as ours, and what is refused, with its place."""

from __future__ import annotations

import pytest

from windvane.alerting.slo_file import read, read_among
from windvane.kit.yaml_nodes import FileError

WHO = 'reporter="destination",destination_service_name="reviews",destination_service_namespace="shop"'
ALL = f"sum(rate(istio_requests_total{{{WHO}}}[5m]))"
GOOD = f'sum(rate(istio_requests_total{{{WHO},response_code!~"5.."}}[5m]))'
OPEN = f"""
apiVersion: openslo/v1
kind: SLO
metadata: {{name: reviews, displayName: Reviews}}
spec:
  description: no page without reviews
  service: shop
  indicator:
    metadata: {{name: good}}
    spec:
      ratioMetric:
        counter: true
        good:
          metricSource: {{type: Prometheus, spec: {{query: '{GOOD}'}}}}
        total:
          metricSource: {{type: Prometheus, spec: {{query: '{ALL}'}}}}
  timeWindow: [{{duration: 4w, isRolling: true}}]
  budgetingMethod: Occurrences
  objectives: [{{displayName: ok, target: 0.995}}]
"""
FAST = (
    OPEN.replace("istio_requests_total", "istio_request_duration_milliseconds_count")
    .replace("milliseconds_count{" + WHO + ',response_code!~"5.."}', "milliseconds_bucket{" + WHO + ',le="250"}')
)  # fmt: skip


def test_a_ratio_of_requests_is_an_objective_on_errors() -> None:
    (found,) = read(OPEN, "o.yaml")
    assert (found.name, found.namespace, found.slo.name, found.days) == ("reviews", "default", "reviews.shop", 28)
    assert [(one.sli, one.objective) for one in found.indicators()] == [("errors", 99.5)]
    assert found.description == "no page without reviews"


def test_a_bucket_is_an_objective_on_times() -> None:
    (found,) = read(FAST, "o.yaml")
    assert [(one.sli, one.objective) for one in found.indicators()] == [("latency", 99.5)]
    assert found.slo.latency == 0.25


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Occurrences", "Timeslices", "spec.budgetingMethod: must be Occurrences, not Timeslices"),
        ("isRolling: true", "isRolling: false", "spec.timeWindow[0].isRolling: must be true"),
        ("4w", "1M", "spec.timeWindow[0].duration: must be whole days or weeks"),
        ("counter: true", "counter: false", "ratioMetric.counter: must be true"),
        ("type: Prometheus", "type: Datadog", "metricSource.type: must be Prometheus, not Datadog"),
        ('response_code!~"5.."', 'response_code="200"', 'good requests must be those with response_code!~"5.."'),
        ("istio_requests_total", "http_requests_total", "must count istio_requests_total"),
        ("sum(rate(", "avg(rate(", "must be the sum of one selector"),
        ('reporter="destination",', "", "or calls count twice"),
        ("target: 0.995", "target: 99.5", "target must lie between 0 and 1"),
        ("kind: SLO", "kind: Service", "kind: must be SLO, not Service"),
        ("openslo/v1\n", "openslo/v1alpha\n", "apiVersion: must be openslo/v1"),
        ("target: 0.995", "target: 0.995, timeSliceTarget: 0.9", "timeSliceTarget: unknown field"),
    ],
)
def test_what_means_something_else_is_refused_at_its_place(old: str, new: str, message: str) -> None:
    assert old in OPEN
    with pytest.raises(FileError) as error:
        read(OPEN.replace(old, new), "o.yaml")
    assert message in error.value.message
    assert error.value.message.startswith("o.yaml:")


def test_other_documents_of_a_mesh_file_are_left_to_others() -> None:
    others = "apiVersion: v1\nkind: Service\nmetadata: {name: reviews}\n---"
    assert [one.name for one in read_among(others + OPEN, "mesh.yaml")] == ["reviews"]
    assert read_among(others, "mesh.yaml") == []
    assert read_among("kind: ServiceLevelObjective: no yaml", "mesh.yaml") == []
