"""Editing the mesh's YAML while it runs: a new split takes all new requests, a bad edit changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from demo_process import Demo, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

REVIEWS = 'reporter="source",source_workload="frontend-v1",destination_service_name="reviews"'


def routing(demo: Demo) -> Path:
    return demo.run_dir / "mesh" / "routing.yaml"


def by_version(demo: Demo) -> dict[str, float]:
    counted = demo.promql(f"sum(istio_requests_total{{{REVIEWS}}}) by (destination_version)")
    return {dict(labels).get("destination_version", ""): value for labels, value in counted.items()}


def config(demo: Demo) -> dict[str, object]:
    return demo.get("/api/windvane/v1/status")["config"]  # type: ignore[no-any-return]


def newest_version(demo: Demo) -> dict[str, Any]:
    return demo.get("/api/windvane/v1/config/history?limit=1")["versions"][0]  # type: ignore[no-any-return]


def sampled_after(demo: Demo, before: dict[str, float]) -> dict[str, float]:
    """The counts of a later sample."""
    return until(lambda: now if (now := by_version(demo)) != before else None, 60, "another sample")  # type: ignore[no-any-return]


def steady(demo: Demo) -> dict[str, float]:
    """Counts once those of v1 and v2 have not moved over two samples (what was in flight is counted)."""
    before, after = by_version(demo), sampled_after(demo, by_version(demo))
    while any(after.get(version) != before.get(version) for version in ("v1", "v2")):
        before, after = after, sampled_after(demo, after)
    return after


def test_a_new_split_takes_all_new_requests_and_fails_none(running: Demo) -> None:
    version = config(running)["version"]
    until(lambda: sum(by_version(running).values()) > 200, 60, "requests to reviews")
    text = routing(running).read_text()
    shifted = (
        text.replace("weight: 90", "weight: 0")
        .replace("weight: 9\n", "weight: 0\n")
        .replace("weight: 1\n", "weight: 100\n")
    )
    assert shifted != text
    routing(running).write_text(shifted)
    until(lambda: config(running)["version"] != version and running.in_sync(), 20, "the edit at every sidecar")
    sidecars = len(running.get("/api/windvane/v1/mesh/proxies")["proxies"])
    newest = until(lambda: v if (v := newest_version(running))["acknowledged"] == sidecars else None, 20, "all answers")
    assert (newest["version"], newest["rejected"]) == (config(running)["version"], 0)
    assert [(one["change"], one["kind"], one["name"]) for one in newest["changes"]] == [
        ("changed", "VirtualService", "reviews")
    ]
    before = steady(running)
    until(lambda: by_version(running)["v3"] > before["v3"] + 100, 60, "requests to v3")
    after = by_version(running)
    assert {key: after[key] for key in ("v1", "v2")} == {key: before[key] for key in ("v1", "v2")}
    assert running.promql(f'sum(istio_requests_total{{{REVIEWS},response_flags!="-"}}) > 0') == {}
    assert running.promql(f'sum(istio_requests_total{{{REVIEWS},response_code=~"5..|0"}}) > 0') == {}


def test_a_bad_edit_is_refused_with_its_place_and_the_mesh_goes_on(running: Demo) -> None:
    version, good = config(running)["version"], routing(running).read_text()
    line = next(number for number, text in enumerate(good.splitlines(), 1) if "hosts: [reviews]" in text)
    routing(running).write_text(good.replace("hosts: [reviews]", "hsots: [reviews]"))
    refused = until(lambda: c if not (c := config(running))["applied"] else None, 20, "the refusal")
    assert refused["version"] == version
    finding = next(item for item in refused["findings"] if item["code"] == "WV0201")
    assert (Path(finding["file"]).name, finding["line"], finding["path"]) == ("routing.yaml", line, "spec.hsots")
    before = sum(by_version(running).values())
    until(lambda: sum(by_version(running).values()) > before + 50, 60, "traffic on the old configuration")
    routing(running).write_text(good)
    until(lambda: config(running)["applied"], 20, "the mended file")


def test_a_fault_in_the_yaml_shows_in_the_telemetry(running: Demo) -> None:
    good = routing(running).read_text()
    abort = "fault:\n        delay:\n          fixedDelay: 0.25s\n          percentage: {value: 1}\n"
    assert abort in good
    routing(running).write_text(
        good.replace(abort, "fault:\n        abort: {httpStatus: 555, percentage: {value: 100}}\n")
    )
    series = 'istio_requests_total{destination_service_name="search",response_code="555",response_flags="FI"}'
    until(lambda: running.scalar(series) > 0, 60, "aborted requests to search with the flag FI")
    routing(running).write_text(good)
