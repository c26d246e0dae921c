"""Files of policies: what is read, how mistakes are told, and that a bad edit changes nothing."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError, UnavailableError
from windvane.kit.reload import Reloaded
from windvane.kit.yaml_nodes import FileError
from windvane.tracing.sampling import policies as p
from windvane.tracing.sampling.policy_file import problems, read

WHOLE = """
decision_wait: 10s
remove_every: 2m
late: 5m
hash_salt: here
policies:
  - {name: all, type: always_sample}
  - {name: slow, type: latency, latency: {threshold_ms: 500, upper_threshold_ms: 900}}
  - {name: bad, type: status_code, status_code: {status_codes: [ERROR, UNSET]}}
  - {name: text, type: string_attribute, string_attribute: {key: k, values: [a, 'b.*'], enabled_regex_matching: true}}
  - {name: number, type: numeric_attribute, numeric_attribute: {key: k, min_value: 5, invert_match: true}}
  - {name: truth, type: boolean_attribute, boolean_attribute: {key: k, value: true}}
  - {name: state, type: trace_state, trace_state: {key: k, values: [v]}}
  - {name: count, type: span_count, span_count: {min_spans: 2}}
  - {name: some, type: probabilistic, probabilistic: {sampling_percentage: 12.5, hash_salt: x}}
  - {name: rate, type: rate_limiting, rate_limiting: {spans_per_second: 35}}
  - {name: odd, type: rare, rare: {traces_per_minute: 3}}
  - name: both
    type: and
    and:
      and_sub_policy:
        - {name: a, type: latency, latency: {threshold_ms: 1}}
        - {name: b, type: rate_limiting, rate_limiting: {spans_per_second: 1}}
  - name: health
    type: drop
    drop: {drop_sub_policy: [{name: a, type: string_attribute, string_attribute: {key: url.path, values: [/health]}}]}
  - name: mixed
    type: composite
    composite:
      max_total_spans_per_second: 1000
      policy_order: [x, y, z]
      composite_sub_policy:
        - {name: y, type: always_sample}
        - {name: x, type: numeric_attribute, numeric_attribute: {key: k, max_value: 50}}
        - {name: z, type: always_sample}
      rate_allocation: [{policy: x, percent: 50}]
"""


def test_a_whole_file_is_read() -> None:
    found = read(WHOLE, "f.yaml")
    assert (found.decision_wait, found.remove_every, found.late, found.salt) == (10, 120, 300, "here")
    rules = {policy.name: policy.rule for policy in found.policies}
    assert rules["slow"] == p.Latency(500, 900)
    assert rules["bad"] == p.Status(("Error", "Unset"))
    assert rules["text"] == p.Texts("k", ("a", "b.*"), regex=True)
    assert found.policies[4] == p.Policy("number", p.Numbers("k", 5.0), inverted=True)
    assert rules["some"] == p.Probabilistic(0.125)
    assert rules["odd"] == p.Rare(3)
    assert rules["both"] == p.Both((p.Policy("a", p.Latency(1)), p.Policy("b", p.RateLimiting(1.0))))
    x, y, z = p.Policy("x", p.Numbers("k", None, 50.0)), p.Policy("y", p.Always()), p.Policy("z", p.Always())
    assert rules["mixed"] == p.Composite(1000, (x, y, z), (500, 250, 250))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "f:0: policies: needs 1 to 200 policies"),
        ("policies: 1", "f:1:11: policies: must be a list"),
        ("policies: [{name: a}]", "f:1:12: policies[0].type: is missing: must be one of always_sample,"),
        ("policies: [{type: always_sample}]", "f:1:12: policies[0].name: is missing"),
        ("policies: [{name: a, type: ottl_condition}]", "'ottl_condition': write the condition as a query"),
        ("policies: [{name: a, type: latency}]", "policies[0].latency: needs threshold_ms"),
        ("policies: [{name: a, type: latency, latency: {threshold_ms: x}}]", "must be a whole number, not 'x'"),
        ("policies: [{name: a, type: string_attribute, string_attribute: {key: k, values: ['('], "
         "enabled_regex_matching: true}}]", "is no regular expression"),
        ("policies: [{name: a, type: string_attribute, string_attribute: {key: k, values: ['a(?=b)'], "
         "enabled_regex_matching: true}}]", "is no regular expression"),
        ("policies: [{name: a, type: probabilistic, probabilistic: {sampling_percentage: 101}}]", "up to 100"),
        ("policies: [{name: a, type: numeric_attribute, numeric_attribute: {key: k, min_value: 1e999}}]", "finite"),
        ("policies: [{name: a, type: query, query: {query: 'duration>fast'}}]", "query, character 10"),
        ("policies: [{name: a, type: always_sample}, {name: a, type: always_sample}]", "a second policy named 'a'"),
        ("policies: [{name: a, type: drop, drop: {drop_sub_policy: [{name: b, type: rare}]}}]", "must be one of"),
        ("policies: [{name: a, type: composite, composite: {max_total_spans_per_second: 1, policy_order: [q], "
         "composite_sub_policy: [{name: b, type: rare}]}}]", "must name sub-policies"),
        ("policies: [{name: a, type: always_sample}]\nwait: 1s", "f:2:1: wait: unknown field"),
        ("policies: [{name: a, type: always_sample}]\nlate: 2h", "late: must be between 0s and 3600s"),
        ("policies: [", "not YAML"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(text: str, said: str) -> None:
    with pytest.raises(FileError) as error:
        read(text, "f")
    assert said in str(error.value).replace("f: policies", "f:0: policies"), str(error.value)


def _nodes(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        found.append((value, key))
        if isinstance(inner, dict | list):
            _nodes(inner, found)
    return found


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_any_mutation_is_read_or_refused(chance: random.Random) -> None:
    document = yaml.safe_load(WHOLE)
    for _ in range(chance.randint(1, 3)):
        holder, key = chance.choice(_nodes(document, []))
        if isinstance(holder, dict) and chance.random() < 0.3:
            del holder[key]
        else:
            holder[key] = chance.choice([None, [], {}, -1, 0, 1e400, "x", "(", ["a"], {"a": 1}, True, "1h", [[]], [{}]])
    try:
        found = read(yaml.safe_dump(document), "f")
    except FileError:
        return
    assert found.policies


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60) | st.text(alphabet="{}[]:,-&*!|>'\"? \npolicesnamety", max_size=60))
def test_any_text_is_refused_in_good_order(text: str) -> None:
    assert problems(text, "f")


def test_a_bad_edit_keeps_what_was_good(tmp_path: Path) -> None:
    clock, file = ManualClock(), tmp_path / "f"
    file.write_text("1")

    def fetch() -> str:
        if not file.exists():
            raise UnavailableError("it is gone")
        return file.read_text()

    def parse(text: str) -> int:
        try:
            return int(text)
        except ValueError:
            raise BadInputError(f"no number: {text}") from None

    found = Reloaded("f", fetch, parse, clock)
    assert (found.value, found.check()) == (1, False)
    file.write_text("x")
    assert (found.check(), found.value, found.error) == (False, 1, "no number: x")
    assert (found.check(), found.error) == (False, "no number: x"), "an error stays until the next edit"
    clock.advance(5)
    file.write_text("2")
    assert (found.check(), found.value, found.error, found.loaded_ns) == (True, 2, "", clock.now_ns())
    file.unlink()
    assert (found.check(), found.value, found.error) == (False, 2, "not read: it is gone")
    file.write_text("2")
    assert (found.check(), found.value, found.error) == (False, 2, "")
    file.write_text("y")
    with pytest.raises(BadInputError):
        Reloaded("f", fetch, parse, clock, 0)
    file.unlink()
    with pytest.raises(UnavailableError):
        Reloaded("f", fetch, parse, clock)
    later = Reloaded("f", fetch, parse, clock, 0)
    assert (later.value, later.error) == (0, "not read: it is gone")
    file.write_text("3")
    assert (later.check(), later.value, later.error) == (True, 3, "")
