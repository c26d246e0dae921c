"""prometheus.yml: what is accepted, with which defaults, and how everything else is refused, line by line."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.ingest.scrape.config import ConfigError, load, loads
from windvane.ingest.scrape.fields import duration_text, parse_prometheus_duration


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        loads(text, "p.yml")
    return [str(one) for one in refused.value.problems]


class TestDefaults:
    def test_an_empty_file(self) -> None:
        config = loads("")
        assert config.scrape_configs == ()
        assert (config.global_.scrape_interval, config.global_.scrape_timeout) == (60.0, 10.0)
        assert config.global_.evaluation_interval == 60.0

    def test_a_job_takes_what_global_says(self) -> None:
        config = loads(
            "global: {scrape_interval: 5s, sample_limit: 7, label_limit: 3, extra_scrape_metrics: true,\n"
            "  external_labels: {region: eu, zone: 1}}\n"
            "scrape_configs:\n- job_name: a\n- {job_name: b, scrape_interval: 1m, sample_limit: 9,\n"
            "  extra_scrape_metrics: false}\n"
        )
        first, second = config.scrape_configs
        assert (first.scrape_interval, first.scrape_timeout, first.sample_limit) == (5.0, 5.0, 7)
        assert (second.scrape_interval, second.scrape_timeout, second.sample_limit) == (60.0, 5.0, 9)
        assert (first.extra_scrape_metrics, second.extra_scrape_metrics) == (True, False)
        assert (first.label_limit, first.metrics_path, first.scheme) == (3, "/metrics", "http")
        assert first.scrape_protocols[0] == "OpenMetricsText1.0.0"
        assert config.global_.external_labels == {"region": "eu", "zone": "1"}

    def test_native_histograms_want_protobuf(self) -> None:
        job = loads("scrape_configs: [{job_name: a, scrape_native_histograms: true}]").scrape_configs[0]
        assert job.scrape_protocols[0] == "PrometheusProto"
        assert job.native_histograms

    def test_legacy_names_ask_for_underscores(self) -> None:
        job = loads("scrape_configs: [{job_name: a, metric_name_validation_scheme: legacy}]").scrape_configs[0]
        assert job.metric_name_escaping_scheme == "underscores"

    def test_external_labels_take_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WINDVANE_TEST_ZONE", "z1")
        config = loads("global: {external_labels: {zone: 'in-${WINDVANE_TEST_ZONE}', cost: $$5}}")
        assert config.global_.external_labels == {"zone": "in-z1", "cost": "$5"}


class TestWhole:
    def test_files_are_relative_to_the_configuration(self, tmp_path: Path) -> None:
        (tmp_path / "jobs").mkdir()
        (tmp_path / "jobs" / "b.yml").write_text(
            "scrape_configs: [{job_name: b, basic_auth: {username: u, password_file: pw}}]"
        )
        file = tmp_path / "prometheus.yml"
        file.write_text(
            "rule_files: [rules/*.yml]\nscrape_config_files: [jobs/*.yml]\nremote_write: [{url: x}]\n"
            "scrape_configs: [{job_name: a, scrape_failure_log_file: x, tls_config: {ca_file: ca.pem}}]\n"
        )
        config = load(file)
        assert [job.job_name for job in config.scrape_configs] == ["a", "b"]
        assert config.scrape_configs[0].tls_config.ca_file == str(tmp_path / "ca.pem")
        assert config.scrape_configs[1].basic_auth is not None
        assert config.scrape_configs[1].basic_auth.password_file == str(tmp_path / "jobs" / "pw")
        assert config.rule_files == (str(tmp_path / "rules" / "*.yml"),)
        assert config.ignored == ("remote_write", "scrape_failure_log_file")

    def test_everything_a_job_may_say(self) -> None:
        job = loads(
            """
scrape_configs:
- job_name: all
  scrape_interval: 1m30s
  scrape_timeout: 500ms
  scrape_protocols: [PrometheusText0.0.4]
  fallback_scrape_protocol: PrometheusText0.0.4
  always_scrape_classic_histograms: true
  convert_classic_histograms_to_nhcb: true
  metrics_path: /m
  honor_labels: yes
  honor_timestamps: false
  track_timestamps_staleness: true
  scheme: https
  params: {module: [a, b], one: x}
  enable_compression: false
  enable_http2: false
  proxy_url: http://proxy:3128
  authorization: {credentials: s}
  tls_config: {insecure_skip_verify: true, server_name: x, min_version: TLS13}
  follow_redirects: false
  http_headers: {X-A: {values: [b]}}
  body_size_limit: 10MB
  sample_limit: 1
  label_limit: 2
  label_name_length_limit: 3
  label_value_length_limit: 4
  target_limit: 5
  keep_dropped_targets: 6
  native_histogram_bucket_limit: 7
  native_histogram_min_bucket_factor: 1.1
  metric_name_validation_scheme: utf8
  static_configs: [{targets: ["a:1"], labels: {x: y}}]
  file_sd_configs: [{files: [a/*.json], refresh_interval: 1m}]
  http_sd_configs: [{url: "http://x/"}]
  dns_sd_configs: [{names: [x], type: A, port: 1}]
  kubernetes_sd_configs: [{role: endpoints, selectors: [{role: pod, label: a=b}]}]
  relabel_configs: [{source_labels: [a, b], regex: x, action: Drop}]
  metric_relabel_configs: [{regex: y, action: labeldrop}]
"""
        ).scrape_configs[0]
        assert (job.scrape_interval, job.scrape_timeout, job.body_size_limit) == (90.0, 0.5, 10 << 20)
        assert job.params == {"module": ("a", "b"), "one": ("x",)}
        assert job.tls_config.versions() == (ssl.TLSVersion.TLSv1_3, None)
        assert job.relabel_configs[0].action == "drop"

    def test_anchors_and_merges(self) -> None:
        config = loads("scrape_configs:\n- &base {job_name: a, metrics_path: /x}\n- {<<: *base, job_name: b}\n")
        assert [(job.job_name, job.metrics_path) for job in config.scrape_configs] == [("a", "/x"), ("b", "/x")]


BAD = [
    ("global: {scrape_interval: 15x}", "p.yml:1: global.scrape_interval: not a valid duration string: '15x'"),
    ("global: {scrape_timeout: 2m}", "p.yml:1: global: global scrape timeout greater than scrape interval"),
    ("globl: {}", "p.yml:1: globl: field globl not found"),
    ("a: [", "p.yml:2: "),
    ("global: {}\nglobal: {}", "p.yml:2: global: the key occurs twice"),
    ("scrape_configs: [{}]", "p.yml:1: scrape_configs[0]: job_name is missing"),
    ("scrape_configs: [{job_name: ''}]", "job_name is empty"),
    ("scrape_configs: {job_name: a}", "p.yml:1: scrape_configs: a list was expected"),
    ("scrape_configs:\n- job_name: a\n- job_name: a", "p.yml:3: scrape_configs[1].job_name: found multiple"),
    ("scrape_configs:\n- job_name: a\n  scrape_timeout: 2m", "p.yml:3: scrape_configs[0].scrape_timeout: scrape time"),
    ("scrape_configs: [{job_name: a, honor_labels: 'true'}]", "true or false was expected"),
    ("scrape_configs: [{job_name: a, sample_limit: -1}]", "a whole number from 0 was expected"),
    ("scrape_configs: [{job_name: a, scheme: ftp}]", "scrape_configs[0].scheme: "),
    ("scrape_configs: [{job_name: a, scrape_protocols: [X]}]", "unknown scrape protocol X, supported: "),
    ("scrape_configs: [{job_name: a, fallback_scrape_protocol: X}]", "unknown scrape protocol X"),
    ("scrape_configs:\n- job_name: a\n  consul_sd_configs: []", "p.yml:3: scrape_configs[0].consul_sd_configs: "
     "consul_sd_configs is not supported by Windvane"),
    ("scrape_configs: [{job_name: a, sigv4: {}}]", "sigv4 is not supported by Windvane"),
    ("scrape_configs: [{job_name: a, static_configs: [{targets: ['http://a/m']}]}]", "is not a valid hostname"),
    ("scrape_configs: [{job_name: a, bearer_token: x, basic_auth: {username: u}}]", "at most one of basic_auth"),
    ("scrape_configs: [{job_name: a, authorization: {type: Basic}}]", "use \"basic_auth\" instead"),
    ("scrape_configs: [{job_name: a, basic_auth: {password: a, password_file: b}}]", "at most one of basic_auth pass"),
    ("scrape_configs: [{job_name: a, oauth2: {client_id: x}}]", "oauth2 client_id and token_url must be configured"),
    ("scrape_configs: [{job_name: a, tls_config: {cert_file: x}}]", "exactly one of key or key_file"),
    ("scrape_configs: [{job_name: a, tls_config: {min_version: SSL3}}]", "unknown TLS version: 'SSL3'"),
    ("scrape_configs: [{job_name: a, file_sd_configs: [{files: [a.txt]}]}]", "is not valid for file discovery"),
    ("scrape_configs: [{job_name: a, http_sd_configs: [{url: 'ftp://x'}]}]", "URL scheme must be 'http' or 'https'"),
    ("scrape_configs: [{job_name: a, dns_sd_configs: [{names: [x], type: A}]}]", "a port is required"),
    ("scrape_configs: [{job_name: a, dns_sd_configs: [{names: [x], type: MX}]}]", "MX are not supported"),
    ("scrape_configs: [{job_name: a, kubernetes_sd_configs: [{role: bogus}]}]", "kubernetes_sd_configs[0].role: "),
    ("scrape_configs: [{job_name: a, kubernetes_sd_configs: [{role: pod, bearer_token: x}]}]", "'api_server' URL"),
    ("scrape_configs: [{job_name: a, kubernetes_sd_configs: [{role: pod, selectors: [{role: service}]}]}]",
     "pod role supports only node, pod selectors"),
    ("scrape_configs: [{job_name: a, relabel_configs: [{action: hashmod, target_label: x}]}]", "non-zero modulus"),
    ("scrape_configs: [{job_name: a, relabel_configs: [{regex: '(('}]}]", "error parsing regexp"),
    ("scrape_configs: [{job_name: a, relabel_configs: [{action: replace}]}]", "requires 'target_label' value"),
    ("scrape_configs: [{job_name: a, relabel_configs: [{action: labeldrop, target_label: x}]}]", "only 'regex'"),
    ("scrape_configs: [{job_name: a, relabel_configs: [{action: uppercase, target_label: x, replacement: y}]}]",
     "'replacement' can not be set"),
    ("alerting: {alertmanagers: [{api_version: v1}]}", "alerting.alertmanagers[0].api_version"),
]  # fmt: skip


class TestRefusals:
    @pytest.mark.parametrize(("text", "message"), BAD)
    def test_says_what_is_wrong_and_where(self, text: str, message: str) -> None:
        assert any(message in one for one in problems(text)), problems(text)

    def test_all_problems_at_once(self) -> None:
        found = problems(
            "global: {scrape_interval: x}\nscrape_configs:\n- job_name: a\n  bogus: 1\n  honor_labels: 3\n"
        )
        assert [one.split(" ")[0] for one in found] == ["p.yml:1:", "p.yml:4:", "p.yml:5:"]

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot be read: No such file"):
            load(tmp_path / "none.yml")

    def test_a_deep_file(self) -> None:
        with pytest.raises(ConfigError):
            loads("[" * 2000)

    @given(
        st.recursive(
            st.none() | st.text(max_size=5) | st.integers() | st.booleans(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "global",
                            "scrape_configs",
                            "job_name",
                            "params",
                            "x",
                            "static_configs",
                            "relabel_configs",
                            "regex",
                            "tls_config",
                        ]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        )
    )
    @settings(max_examples=60, deadline=None)
    def test_any_shape_is_read_or_refused(self, value: object) -> None:
        with contextlib.suppress(ConfigError):
            loads(yaml.safe_dump(value))


class TestDurations:
    @pytest.mark.parametrize(
        ("text", "seconds"), [("0", 0), ("1s", 1), ("1m30s", 90), ("250ms", 0.25), ("1d", 86400), ("1y2w", 32_745_600)]
    )
    def test_round_trip(self, text: str, seconds: float) -> None:
        assert parse_prometheus_duration(text) == seconds
        assert parse_prometheus_duration(duration_text(seconds)) == seconds

    @pytest.mark.parametrize("text", ["", "1", "1.5s", "s", "1s1m", "-1s", "1 s"])
    def test_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="duration"):
            parse_prometheus_duration(text)
