"""Canary objects and weights in files: what is read, what is changed, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from releases import CANARY, ROUTES

from windvane.kit.errors import NotFoundError, WindvaneError
from windvane.kit.yaml_nodes import FileError
from windvane.rollout.plan import read
from windvane.rollout.weights import changed, find, set_weight

PLAN = read(CANARY, "canary.yaml")


def test_a_plan() -> None:
    assert (PLAN.service, PLAN.namespace, PLAN.baseline, PLAN.canary) == ("reviews", "shop", "v1", "v2")
    assert (PLAN.steps, PLAN.interval, PLAN.hold, PLAN.deadline) == ((5, 20, 50), 60, 180, 3600)
    even = read(
        CANARY.replace(
            "stepWeights: [5, 20, 50]", "{stepWeight: 10, maxWeight: 30}".strip("{}").replace(", ", "\n    ")
        ),
        "",
    )
    assert even.steps == (10, 20, 30)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: Canary", "kind: Canari", "canary.yaml:3:1: kind: must be Canary, not Canari"),
        ("[5, 20, 50]", "[50, 20]", "spec.analysis.stepWeights: must be rising percentages from 1 to 99"),
        ("hold: 3m", "hold: soon", "canary.yaml:13:11: spec.analysis.hold: not a duration: 'soon'"),
        ("canary: v2", "canary: v1", "spec.canary: is the baseline"),
        ("baseline: v1", "stable: v1", "spec.baseline: is missing"),
        ("hold: 3m", "margin: 0.5", "the margin (0.5) must exceed the tolerated ratio (1)"),
        ("interval: 1m", "interval: 0.1s", "spec.analysis.interval: must be a second at least"),
    ],
)
def test_what_is_wrong_is_told(old: str, new: str, message: str) -> None:
    with pytest.raises(FileError) as error:
        read(CANARY.replace(old, new), "canary.yaml")
    assert message in error.value.message


def test_only_the_two_numbers_change() -> None:
    after = changed(ROUTES, "routes.yaml", PLAN, 20)
    assert after == ROUTES.replace("weight: 100 ", "weight: 80 ").replace("{weight: 0,", "{weight: 20,")
    assert [place.weight for place in find(after, "routes.yaml", PLAN)] == [20]
    assert changed(after, "routes.yaml", PLAN, 0) == ROUTES


def test_other_destinations_keep_their_weights() -> None:
    text = ROUTES.replace("weight: 100 ", "weight: 60 ").replace(
        "- {weight: 0,", "- {weight: 40, destination: {host: reviews, subset: v4}}\n        - {weight: 0,"
    )
    route = next(yaml.safe_load_all(changed(text, "", PLAN, 50)))["spec"]["http"][1]["route"]
    assert [one["weight"] for one in route] == [30, 40, 30]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("subset: v2}}\n---", "subset: v9}}\n---", "no VirtualService routes reviews.shop to the subsets v1 and v2"),
        ("          weight: 100   # the old one\n", "", "routes.yaml:12: weight: is missing at subset v1"),
        ("weight: 100", "weight: many", "weight: 'many' is no weight"),
        ("metadata: {name: reviews, namespace: shop}", "metadata: {name: reviews}", "no VirtualService routes"),
    ],
)
def test_routes_that_cannot_be_changed(old: str, new: str, message: str) -> None:
    with pytest.raises(WindvaneError) as error:
        changed(ROUTES.replace(old, new), "routes.yaml", PLAN, 20)
    assert message in error.value.message


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(ROUTES, encoding="utf-8")
    file.chmod(0o640)
    assert set_weight(file, PLAN, 5)
    assert not set_weight(file, PLAN, 5)
    assert file.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [file]
    file.write_text("{}", encoding="utf-8")
    with pytest.raises(NotFoundError):
        set_weight(file, PLAN, 5)
