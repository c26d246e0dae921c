# ruff: noqa: E501 - a series is one line
"""Unit-test files on one rule file, and whether they pass (under the real promtool 2.42 too)."""

RULES = """
groups:
- name: recording
  rules:
  - {record: "job:m:sum", expr: "sum by (job) (m)"}
  - {record: "job:m:rate", expr: "sum by (job) (rate(m[5m]))", labels: {kind: rate}}
- name: alerts
  rules:
  - alert: Down
    expr: up == 0
    for: 5m
    labels: {severity: page}
    annotations:
      summary: "{{ $labels.instance }} is down, {{ $externalLabels.dc }} {{ $value }}"
  - alert: High
    expr: job:m:sum > 100
    annotations: {value: "{{ $value | humanize }}"}
  - alert: Kept
    expr: up == 0
  - alert: OfAlerts
    expr: count by (alertname) (ALERTS{alertstate="firing",alertname="Down"}) > 0
"""
_UP = "{series: 'up{instance=\"a\"}', values: '1x3 0x20'}"
_M = "{series: 'm{job=\"a\",i=\"1\"}', values: '0+10x20'}, {series: 'm{job=\"a\",i=\"2\"}', values: '0+20x20'}, {series: 'm{job=\"b\"}', values: '_x5 1 stale _ 3x10'}"
CASES = {
    "nothing": (True, "tests: []\n"),
    "an alert that fires": (
        True,
        f"""
tests:
  - interval: 1m
    name: up
    external_labels: {{dc: x}}
    input_series: [{_UP}]
    alert_rule_test:
      - {{eval_time: 8m, alertname: Down}}
      - eval_time: 9m
        alertname: Down
        exp_alerts:
          - exp_labels: {{severity: page, instance: a}}
            exp_annotations: {{summary: 'a is down, x 0'}}
      - eval_time: 10m
        alertname: OfAlerts
        exp_alerts: [{{exp_labels: {{}}}}]
""",
    ),
    "an alert that does not fire": (
        False,
        f"""
tests:
  - interval: 1m
    input_series: [{_UP}]
    alert_rule_test:
      - eval_time: 5m
        alertname: Down
        exp_alerts: [{{exp_labels: {{severity: page, instance: a}}}}]
""",
    ),
    "an alert that nobody expects": (
        False,
        f"""
tests:
  - interval: 1m
    input_series: [{_UP}]
    alert_rule_test: [{{eval_time: 12m, alertname: Kept}}]
""",
    ),
    "annotations that differ": (
        False,
        f"""
tests:
  - interval: 1m
    input_series: [{_UP}]
    alert_rule_test:
      - eval_time: 12m
        alertname: Down
        exp_alerts: [{{exp_labels: {{severity: page, instance: a}}, exp_annotations: {{summary: other}}}}]
""",
    ),
    "a time between two evaluations": (
        True,
        f"""
tests:
  - interval: 1m
    input_series: [{_UP}]
    alert_rule_test:
      - {{eval_time: 3m59s, alertname: Kept}}
      - {{eval_time: 4m30s, alertname: Kept, exp_alerts: [{{exp_labels: {{instance: a}}}}]}}
""",
    ),
    "recorded series": (
        True,
        f"""
tests:
  - interval: 1m
    input_series: [{_M}]
    promql_expr_test:
      - {{expr: 'job:m:sum{{job="a"}}', eval_time: 10m, exp_samples: [{{labels: 'job:m:sum{{job="a"}}', value: 300}}]}}
      - {{expr: 'job:m:rate{{job="a"}}', eval_time: 10m, exp_samples: [{{labels: 'job:m:rate{{job="a", kind="rate"}}', value: 0.5}}]}}
      - {{expr: 'job:m:sum{{job="b"}}', eval_time: 6m}}
      - {{expr: 'job:m:sum{{job="b"}}', eval_time: 7m30s}}
      - {{expr: 'job:m:sum{{job="b"}}', eval_time: 9m, exp_samples: [{{labels: 'job:m:sum{{job="b"}}', value: 3}}]}}
      - {{expr: 'count(job:m:sum)', eval_time: 4m, exp_samples: [{{labels: '{{}}', value: 1}}]}}
      - {{expr: '1 + 2', eval_time: 4m, exp_samples: [{{value: 3}}]}}
""",
    ),
    "a value that differs": (
        False,
        f"""
tests:
  - interval: 1m
    input_series: [{_M}]
    promql_expr_test:
      - {{expr: 'job:m:sum{{job="a"}}', eval_time: 10m, exp_samples: [{{labels: 'job:m:sum{{job="a"}}', value: 301}}]}}
""",
    ),
    "labels that differ": (
        False,
        f"""
tests:
  - interval: 1m
    input_series: [{_M}]
    promql_expr_test:
      - {{expr: 'job:m:sum{{job="a"}}', eval_time: 10m, exp_samples: [{{labels: 'job:m:sum{{job="b"}}', value: 300}}]}}
""",
    ),
    "not a number equals nothing": (
        False,
        """
tests:
  - interval: 1m
    input_series: [{series: n, values: 'NaN'}]
    promql_expr_test: [{expr: n, eval_time: 0m, exp_samples: [{labels: n, value: NaN}]}]
""",
    ),
    "an expression that fails": (
        False,
        """
tests:
  - interval: 1m
    promql_expr_test: [{expr: 'sum(', eval_time: 0m}]
""",
    ),
    "a rule that fails": (
        False,
        """
tests:
  - interval: 1m
    input_series: [{series: 'up{instance="a",x="1"}', values: '0x9'}, {series: 'up{instance="a",x="2"}', values: '0x9'}]
    promql_expr_test: [{expr: 'up + on(instance) up', eval_time: 0m}]
""",
    ),
    "another interval": (
        True,
        """
tests:
  - interval: 15s
    input_series: [{series: 'm{job="a"}', values: '0+1x100'}]
    promql_expr_test:
      - {expr: 'job:m:sum', eval_time: 2m, exp_samples: [{labels: 'job:m:sum{job="a"}', value: 8}]}
      - {expr: 'job:m:sum', eval_time: 2m45s, exp_samples: [{labels: 'job:m:sum{job="a"}', value: 8}]}
      - {expr: 'max_over_time(m[1m:])', eval_time: 2m45s, exp_samples: [{labels: '{job="a"}', value: 8}]}
""",
    ),
    "groups in a given order": (
        True,
        """
group_eval_order: [alerts, recording]
tests:
  - interval: 1m
    input_series: [{series: 'm{job="a"}', values: '200x10'}]
    alert_rule_test:
      - {eval_time: 0m, alertname: High}
      - {eval_time: 1m, alertname: High, exp_alerts: [{exp_labels: {job: a}, exp_annotations: {value: '200'}}]}
""",
    ),
    "two test groups do not see each other": (
        True,
        f"""
tests:
  - {{interval: 1m, input_series: [{_UP}], alert_rule_test: [{{eval_time: 9m, alertname: Kept, exp_alerts: [{{exp_labels: {{instance: a}}}}]}}]}}
  - {{interval: 1m, alert_rule_test: [{{eval_time: 9m, alertname: Kept}}], promql_expr_test: [{{expr: up, eval_time: 9m}}]}}
""",
    ),
}
