"""Names of OpenTelemetry metrics and attributes in Prometheus's words, strategy by strategy."""

from __future__ import annotations

import pytest

from windvane.ingest.metric_names import COUNTER, GAUGE, HISTOGRAM, SUM, Strategy, label_name, metric_name, unit_name
from windvane.kit.errors import BadInputError

WITH, WITHOUT, UTF8, AS_IT_IS = Strategy

CASES = [
    # name, unit, kind, and what the four strategies make of it
    ("http.server.duration", "s", HISTOGRAM, "http_server_duration_seconds", "http_server_duration",
     "http.server.duration_seconds"),
    ("requests", "", COUNTER, "requests_total", "requests", "requests_total"),
    ("requests_total", "", COUNTER, "requests_total", "requests_total", "requests_total"),
    ("total.requests", "1", COUNTER, "requests_total", "total_requests", "total.requests_total"),
    ("cpu_usage", "1", GAUGE, "cpu_usage_ratio", "cpu_usage", "cpu_usage_ratio"),
    ("cpu_usage_ratio", "1", GAUGE, "cpu_usage_ratio", "cpu_usage_ratio", "cpu_usage_ratio"),
    ("up.down", "1", SUM, "up_down", "up_down", "up.down"),
    ("response_time_seconds", "s", GAUGE, "response_time_seconds", "response_time_seconds", "response_time_seconds"),
    ("cpu_seconds_total", "s", COUNTER, "cpu_seconds_total", "cpu_seconds_total", "cpu_seconds_total"),
    ("throughput", "By/s", GAUGE, "throughput_bytes_per_second", "throughput", "throughput_bytes_per_second"),
    ("requests", "1/s", GAUGE, "requests_per_second", "requests", "requests_per_second"),
    ("requests", "1/s", COUNTER, "requests_per_second_total", "requests", "requests_per_second_total"),
    ("custom", "{custom}", GAUGE, "custom", "custom", "custom"),
    ("custom", "By/{custom}", GAUGE, "custom_bytes", "custom", "custom_bytes"),
    ("custom_metric", "unit@with#special/chars", GAUGE, "custom_metric_unit_with_special_per_chars", "custom_metric",
     "custom_metric_unit@with#special_per_chars"),
    ("metric__with__many", "unit__many", GAUGE, "metric_with_many_unit_many", "metric__with__many",
     "metric__with__many_unit__many"),
    ("metric@@##name", "", GAUGE, "metric_name", "metric_name", "metric@@##name"),
    ("2xx.rate", "", GAUGE, "_2xx_rate", "_2xx_rate", "2xx.rate"),
    ("requêsts", "", COUNTER, "requ_sts_total", "requ_sts", "requêsts_total"),
    ("memory", "MiBy", GAUGE, "memory_mebibytes", "memory", "memory_mebibytes"),
    ("load", "%", GAUGE, "load_percent", "load", "load_percent"),
    ("speed", "m/h", GAUGE, "speed_meters_per_hour", "speed", "speed_meters_per_hour"),
    ("window", "/m", GAUGE, "window_per_minute", "window", "window_per_minute"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "unit", "kind", "with_", "without", "utf8"), CASES)
def test_metrics(name: str, unit: str, kind: int, with_: str, without: str, utf8: str) -> None:
    made = [metric_name(name, unit, kind, strategy) for strategy in (WITH, WITHOUT, UTF8, AS_IT_IS)]
    assert made == [with_, without, utf8, name]


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("http.method", "http_method"),
        ("label:with:colons", "label_with_colons"),
        ("a!b&c)", "a_b_c_"),
        ("字符x", "__x"),
        ("123label", "key_123label"),
        ("_private", "key_private"),
        ("__reserved", "__reserved"),
        ("a__b", "a__b"),
    ],
)
def test_labels(name: str, made: str) -> None:
    assert label_name(name, WITH) == label_name(name, WITHOUT) == made
    assert label_name(name, UTF8) == label_name(name, AS_IT_IS) == name


def test_units() -> None:
    units = ("s", "By/s", "1", "1/s", "{req}", "a@b/{x}", "unit__many", "_x_", "")
    assert [unit_name(unit, WITH) for unit in units] == [
        "seconds", "bytes_per_second", "", "per_second", "", "a_b", "unit_many", "x", ""
    ]  # fmt: skip
    assert unit_name("a@b", UTF8) == "a@b"


def test_a_name_of_which_nothing_is_left_is_refused() -> None:
    for name in ("@#$", "", "_._"):
        with pytest.raises(BadInputError, match="nothing is left"):
            metric_name(name, "", GAUGE, WITH)
    for label in ("", "字符"):
        with pytest.raises(BadInputError, match="nothing is left"):
            label_name(label, WITH)
    with pytest.raises(BadInputError, match="nothing is left"):
        metric_name("", "", GAUGE, AS_IT_IS)
