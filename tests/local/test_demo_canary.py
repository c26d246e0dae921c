"""The demo's release: what it is told, and what it puts into a scenario's copy."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from windvane.kit.errors import BadInputError
from windvane.local.canary import FILE, parse_canary, prepared
from windvane.local.faults import troubled
from windvane.local.rundir import copy_scenario
from windvane.mesh.files import FileSource, LoadResult
from windvane.rollout.folder import canaries


def load(folder: Path) -> tuple[LoadResult, dict[str, str]]:
    source = FileSource([folder], implied_gateways=True)
    return source.load(), source.texts()


def test_what_it_is_told() -> None:
    trial = parse_canary("bad@catalog,after=2m,share=5%,by=3")
    assert (trial.outcome, trial.service, trial.after, trial.share, trial.by) == ("bad", "catalog", 120, 0.05, 3)
    for text, message in {
        "worse": "expected one of good, bad, slow",
        "good,until=3m": "until: unknown",
        "bad,share=60%,by=2": "share times by must lie between 0 and 1",
        "bad,after=soon": "after: not a duration",
    }.items():
        with pytest.raises(BadInputError, match=message):
            parse_canary(text)


def test_a_second_version_and_its_release(tmp_path: Path) -> None:
    folder, _ = copy_scenario("shop", tmp_path)
    trial = prepared(parse_canary("bad"), folder)
    assert (trial.namespace, trial.baseline, trial.canary) == ("shop", "v1", "v2")
    (folder / FILE).write_text(trial.text, encoding="utf-8")
    result, texts = load(folder)
    assert result.view is not None
    assert not [one for one in result.findings if one.level != "info"]
    (given,) = canaries(result.beside, texts)
    assert not given.problems
    assert given.plan is not None
    assert (given.plan.steps, given.plan.hold) == ((5, 20, 50), 120)
    assert troubled({}, trial.faults, result.view) == {}
    assert [fault.share for fault in trial.faults] == [0.02, 0.02, 0.02]
    before = texts
    again = prepared(parse_canary("good"), folder)
    assert again.workloads == trial.workloads
    assert not (folder / FILE).exists()
    assert load(folder)[1] == {file: text for file, text in before.items() if not file.endswith(FILE)}


def test_a_service_whose_traffic_is_split_keeps_its_other_versions(tmp_path: Path) -> None:
    folder, _ = copy_scenario("shop", tmp_path)
    trial = prepared(parse_canary("slow@reviews"), folder)
    assert (trial.baseline, trial.canary) == ("v1", "v4")
    routes = next(
        one
        for one in yaml.safe_load_all((folder / "routing.yaml").read_text(encoding="utf-8"))
        if one["kind"] == "VirtualService" and one["metadata"]["name"] == "reviews"
    )
    weights = {one["destination"]["subset"]: one["weight"] for one in routes["spec"]["http"][0]["route"]}
    assert weights == {"v1": 90, "v2": 9, "v3": 1, "v4": 0}
    with pytest.raises(BadInputError, match="no such service"):
        prepared(parse_canary("bad@nothing"), folder)
