"""Relabelling rules, one by one, and how targets get their labels and URLs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from windvane.ingest.scrape.config import ScrapeConfig, loads
from windvane.ingest.scrape.relabel import Labels, Relabeller, RelabelRule, hashmod
from windvane.ingest.scrape.targets import DroppedTarget, Target, TargetGroup, populate, resolve

GIVEN = {"a": "foo", "b": "bar", "c": "baz"}
TABLE: list[tuple[list[dict[str, Any]], Labels | None]] = [
    ([{"source_labels": ("a",), "regex": "f(.*)", "target_label": "d", "replacement": "ch${1}-ch${1}"}],
     {**GIVEN, "d": "choo-choo"}),
    ([{"source_labels": ("a", "b"), "regex": "f(.*);(.*)r", "target_label": "a", "replacement": "b${1}${2}m"}],
     {**GIVEN, "a": "boobam"}),
    ([{"source_labels": ("a",), "regex": "o$", "action": "drop"}], GIVEN),
    ([{"source_labels": ("a",), "regex": ".*o.*", "action": "drop"}], None),
    ([{"source_labels": ("a",), "regex": "fo", "action": "keep"}], None),
    ([{"source_labels": ("a",), "regex": "f|foo", "action": "keep"}], GIVEN),
    ([{"source_labels": ("none",), "regex": "", "action": "keep"}], GIVEN),
    ([{"source_labels": ("a",), "regex": "x(.*)", "target_label": "d", "replacement": "y"}], GIVEN),
    ([{"source_labels": ("a",), "regex": "(.*)", "target_label": "a", "replacement": ""}], {"b": "bar", "c": "baz"}),
    ([{"source_labels": ("a",), "target_label": "${1}_new", "regex": "(f.*)", "replacement": "v"}],
     {**GIVEN, "foo_new": "v"}),
    ([{"source_labels": ("c",), "target_label": "d", "modulus": 1000, "action": "hashmod"}],
     {**GIVEN, "d": str(hashmod("baz", 1000))}),
    ([{"regex": "(b.*|c)", "replacement": "x_$1", "action": "labelmap"}], {**GIVEN, "x_b": "bar", "x_c": "baz"}),
    ([{"regex": "b", "action": "labeldrop"}], {"a": "foo", "c": "baz"}),
    ([{"regex": "[ab]", "action": "labelkeep"}], {"a": "foo", "b": "bar"}),
    ([{"source_labels": ("a",), "target_label": "a", "action": "uppercase"}], {**GIVEN, "a": "FOO"}),
    ([{"source_labels": ("a", "b"), "separator": "-", "target_label": "d", "action": "uppercase"},
      {"source_labels": ("d",), "target_label": "e", "action": "lowercase"}],
     {**GIVEN, "d": "FOO-BAR", "e": "foo-bar"}),
    ([{"source_labels": ("a",), "target_label": "b", "action": "keepequal"}], None),
    ([{"source_labels": ("a",), "target_label": "b", "action": "dropequal"}], GIVEN),
    ([{"source_labels": ("a",), "regex": "(.*)", "target_label": "b"},
      {"source_labels": ("a",), "target_label": "b", "action": "keepequal"}], {**GIVEN, "b": "foo"}),
    ([{"target_label": "d", "replacement": "fixed"}], {**GIVEN, "d": "fixed"}),
    ([{"source_labels": ("a",), "target_label": "d", "replacement": "$$x"}], {**GIVEN, "d": "$x"}),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "wanted"), TABLE)
def test_rules(rules: list[dict[str, Any]], wanted: Labels | None) -> None:
    relabel = Relabeller([RelabelRule(**rule) for rule in rules])
    assert relabel(GIVEN) == wanted
    assert GIVEN == {"a": "foo", "b": "bar", "c": "baz"}


def test_hashmod_takes_the_last_eight_bytes_of_the_md5() -> None:
    assert hashmod("", 1 << 63) == 0xE9800998ECF8427E & (1 << 63) - 1


def test_a_name_outside_the_legacy_scheme_is_not_set() -> None:
    rule = RelabelRule(source_labels=("a",), target_label="${1}-x", regex="(.*)", replacement="v")
    assert Relabeller([rule], "legacy")(GIVEN) == GIVEN
    assert Relabeller([rule], "utf8")(GIVEN) == {**GIVEN, "foo-x": "v"}


def test_steps_end_with_the_rule_that_drops() -> None:
    relabel = Relabeller([RelabelRule(target_label="d", replacement="x"), RelabelRule(regex="y", action="keep"),
                          RelabelRule(target_label="e", replacement="z")])  # fmt: skip
    assert relabel.trace({"a": "1"}) == [({"a": "1", "d": "x"}, True), ({}, False)]


def job(text: str = "") -> ScrapeConfig:
    return loads(f"scrape_configs: [{{job_name: j, scrape_interval: 15s{text}}}]").scrape_configs[0]


def made(config: ScrapeConfig, **labels: str) -> Target | DroppedTarget:
    return populate(config, {"__address__": "h:1", **labels}, Relabeller(config.relabel_configs))


class TestTargets:
    def test_defaults(self) -> None:
        target = made(job(), env="e", __meta_x="y", __tmp_z="w")
        assert isinstance(target, Target)
        assert target.labels == {"env": "e", "instance": "h:1", "job": "j"}
        assert target.url == "http://h:1/metrics"
        assert (target.interval, target.timeout) == (15.0, 10.0)
        assert target.discovered == {
            "__address__": "h:1", "__meta_x": "y", "__metrics_path__": "/metrics", "__scheme__": "http",
            "__scrape_interval__": "15s", "__scrape_timeout__": "10s", "__tmp_z": "w", "env": "e", "job": "j",
        }  # fmt: skip

    def test_labels_decide_the_request(self) -> None:
        config = job(", scheme: https, metrics_path: /p, params: {module: [a, b], x: [y z]}")
        target = made(config, __metrics_path__="/other", __scheme__="http", __param_extra="1", job="mine",
                      __scrape_interval__="30s", __scrape_timeout__="7s")  # fmt: skip
        assert isinstance(target, Target)
        assert target.url == "http://h:1/other?extra=1&module=a&module=b&x=y+z"
        assert (target.interval, target.timeout, target.labels["job"]) == (30.0, 7.0, "mine")

    def test_a_rule_may_change_parameters_and_the_instance(self) -> None:
        config = job(
            ", params: {target: [old]}, relabel_configs: [{source_labels: [__address__], target_label: "
            "__param_target}, {source_labels: [__param_target], target_label: instance}, "
            "{target_label: __address__, replacement: 'exporter:9115'}]"
        )
        target = made(config)
        assert isinstance(target, Target)
        assert target.url == "http://exporter:9115/metrics?target=h%3A1"
        assert target.labels["instance"] == "h:1"

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ({"__address__": ""}, "no address"),
            ({"__address__": "a/b"}, '"a/b" is not a valid hostname'),
            ({"__scrape_interval__": "x"}, "error parsing scrape interval"),
            ({"__scrape_interval__": "0"}, "scrape interval cannot be 0"),
            ({"__scrape_timeout__": "20s"}, 'cannot be greater than scrape interval ("20s" > "15s")'),
        ],
    )
    def test_what_is_no_target(self, labels: Labels, message: str) -> None:
        with pytest.raises(ValueError, match=re.escape(message)):
            populate(job(), {"__address__": "h:1", **labels}, Relabeller([]))

    def test_groups(self) -> None:
        config = job(", keep_dropped_targets: 1, relabel_configs: [{source_labels: [drop], regex: 'y', action: drop}]")
        group = TargetGroup("s", [{"__address__": "a:1"}, {"__address__": "a:1"}, {"__address__": "b:1", "drop": "y"},
                                  {"__address__": "c:1", "drop": "y"}, {"x": "y"}], {"team": "t"})  # fmt: skip
        found = resolve(config, [group], Relabeller(config.relabel_configs))
        assert [target.labels for target in found.active.values()] == [{"instance": "a:1", "job": "j", "team": "t"}]
        assert [one.discovered["__address__"] for one in found.dropped] == ["b:1"]
        assert found.dropped_count == 2
        assert found.failures == ["instance 4 in group s: no address"]

    def test_offsets_are_spread_and_stay(self) -> None:
        targets = [made(job(), __address__=f"h:{port}") for port in range(200)]
        offsets = [target.offset() for target in targets if isinstance(target, Target)]
        assert all(0 <= offset < 15 for offset in offsets)
        assert {int(offset) for offset in offsets} == set(range(15))
        assert offsets[0] == targets[0].offset()  # type: ignore[union-attr]
