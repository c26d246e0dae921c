"""Files of tail-sampling policies: YAML; every mistake is told with its line, and with one all is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import re2  # type: ignore[import-untyped]
from yaml.nodes import Node

from windvane.kit.errors import BadInputError
from windvane.kit.strict_yaml import Document
from windvane.kit.strict_yaml import Mapping as Fields
from windvane.kit.yaml_nodes import FileError, Problem
from windvane.tracing.filters.compile import condition
from windvane.tracing.filters.parse import parse
from windvane.tracing.filters.spans import span_fields
from windvane.tracing.filters.sql import Conditions
from windvane.tracing.sampling.policies import (
    Always,
    Both,
    Composite,
    Drop,
    Latency,
    Numbers,
    Policy,
    Probabilistic,
    Query,
    Rare,
    RateLimiting,
    Rule,
    SpanCount,
    State,
    Status,
    TailSampling,
    Texts,
    Truth,
)

_STATUSES = {"OK": "Ok", "ERROR": "Error", "UNSET": "Unset"}
_ELSEWHERE = {
    "ottl_condition": "write the condition as a query",
    "bytes_limiting": "use rate_limiting",
    "trace_flags": "all spans that arrive here were sampled",
}
_MAX_POLICIES = 200
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False

_Reader: TypeAlias = Callable[[Fields], Rule]


def read(text: str, file: str) -> TailSampling:
    """Policies from a YAML text; `FileError` with every problem."""
    document = Document(file)
    root = document.root(text)
    found = None if root is None else _file(root)
    if document.problems or found is None:
        raise FileError(sorted(document.problems, key=lambda one: (one.line, one.column)))
    return replace(found, text=text)


def _file(root: Fields) -> TailSampling | None:
    defaults = TailSampling(())
    given = TailSampling(
        _policies(root, "policies", {**_LEAVES, **_GROUPS}),
        decision_wait=_seconds(root, "decision_wait", defaults.decision_wait, 0, 3_600),
        remove_every=_seconds(root, "remove_every", defaults.remove_every, 60, 3_600),
        late=_seconds(root, "late", defaults.late, 0, 3_600),
        salt=root.text("hash_salt"),
    )
    root.done()
    return given


def _seconds(fields: Fields, name: str, default: float, low: float, high: float) -> float:
    value = fields.duration(name, default)
    if not low <= value <= high:
        fields.document.problem(fields.node, fields.path_of(name), f"must be between {low:g}s and {high:g}s")
    return value


def _policies(fields: Fields, name: str, readers: Mapping[str, _Reader]) -> tuple[Policy, ...]:
    """The policies of a list, which may be of these types."""
    node = fields.field_node(name)
    found, names = [], set()
    items = fields.mappings(name)
    if not items or len(items) > _MAX_POLICIES:
        fields.document.problem(node, fields.path_of(name), f"needs 1 to {_MAX_POLICIES} policies")
        return ()
    for item in items:
        policy = _policy(item, readers)
        if policy is None:
            continue
        if policy.name in names:
            item.document.problem(item.node, item.path, f"a second policy named {policy.name!r}")
        names.add(policy.name)
        found.append(policy)
    return tuple(found)


def _policy(item: Fields, readers: Mapping[str, _Reader]) -> Policy | None:
    node = item.node
    name, kind = item.text("name"), item.text("type")
    if not name:
        item.document.problem(node, item.path_of("name"), "is missing")
    if kind not in readers:
        hint = _ELSEWHERE.get(kind, f"must be one of {', '.join(readers)}")
        item.document.problem(node, item.path_of("type"), f"{kind!r}: {hint}" if kind else f"is missing: {hint}")
        return None
    inner = item.mapping(kind)
    inverted = inner.boolean("invert_match", False) if kind.endswith("_attribute") else False
    rule = _guarded(inner, node, readers[kind])
    inner.done()
    item.done()
    return None if rule is None else Policy(name, rule, inverted)


def _guarded(inner: Fields, outer: Node | None, reader: _Reader) -> Rule | None:
    try:
        return reader(inner)
    except BadInputError as error:
        inner.document.problem(inner.node or outer, inner.path, error.message)
        return None


def _latency(inner: Fields) -> Rule:
    rule = Latency(inner.integer("threshold_ms", -1), inner.integer("upper_threshold_ms", 0))
    if rule.least < 0 or rule.most < 0 or 0 < rule.most <= rule.least:
        raise BadInputError("needs threshold_ms of at least 0, below upper_threshold_ms")
    return rule


def _status(inner: Fields) -> Rule:
    words = inner.texts("status_codes")
    unknown = [word for word in words if word.upper() not in _STATUSES]
    if unknown or not words:
        raise BadInputError(f"status_codes must be of {', '.join(_STATUSES)}")
    return Status(tuple(_STATUSES[word.upper()] for word in words))


def _texts(inner: Fields) -> Rule:
    regex = inner.boolean("enabled_regex_matching", False)
    inner.integer("cache_max_size", 0)  # the Collector's cache of matches: there is nothing to cache here
    rule = Texts(_key(inner), tuple(inner.texts("values")), regex)
    if not rule.values:
        raise BadInputError("values must name one at least")
    for value in rule.values if regex else ():
        try:
            re2.compile(value, _OPTIONS)
        except re2.error as error:
            raise BadInputError(f"{value!r} is no regular expression: {error}") from None
    return rule


def _numbers(inner: Fields) -> Rule:
    key = _key(inner)
    low, high = (inner.read(name, _finite, None) for name in ("min_value", "max_value"))
    if low is None and high is None:
        raise BadInputError("needs min_value, max_value or both")
    return Numbers(key, low, high)


def _finite(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"must be a number, not {text!r}") from None
    if value - value != 0:
        raise ValueError(f"must be finite, not {text!r}")
    return value


def _key(inner: Fields) -> str:
    key = inner.text("key")
    if not key:
        raise BadInputError("needs a key")
    return key


def _state(inner: Fields) -> Rule:
    rule = State(_key(inner), tuple(inner.texts("values")))
    if not rule.values:
        raise BadInputError("values must name one at least")
    return rule


def _span_count(inner: Fields) -> Rule:
    rule = SpanCount(inner.integer("min_spans", 0), inner.integer("max_spans", 0))
    if rule.least < 0 or rule.most < 0 or 0 < rule.most < rule.least:
        raise BadInputError("needs min_spans of at least 0, not above max_spans")
    return rule


def _query(inner: Fields) -> Rule:
    where = parse(inner.text("query"))
    condition(where, span_fields(lambda _: True), Conditions())  # a value that a column cannot have is told now
    return Query(where)


def _probabilistic(inner: Fields) -> Rule:
    percent = inner.read("sampling_percentage", _finite, None)
    inner.text("hash_salt")  # one salt for all of the file, or policies would not choose the same traces
    if percent is None or not 0 < percent <= 100:
        raise BadInputError("needs a sampling_percentage above 0 and up to 100")
    return Probabilistic(percent / 100)


def _rate(inner: Fields, name: str) -> float:
    value = inner.read(name, _finite, None)
    if value is None or value <= 0:
        raise BadInputError(f"needs {name} above 0")
    return value


def _rare(inner: Fields) -> Rule:
    traces = inner.integer("traces_per_minute", 1)
    if not 1 <= traces <= 1_000:
        raise BadInputError("traces_per_minute must be between 1 and 1000")
    return Rare(traces)


def _composite(inner: Fields) -> Rule:
    rate = _rate(inner, "max_total_spans_per_second")
    policies = {policy.name: policy for policy in _policies(inner, "composite_sub_policy", {**_LEAVES, "and": _both})}
    order = inner.texts("policy_order") or list(policies)
    percents = dict(_allocation(one) for one in inner.mappings("rate_allocation"))
    unknown = [name for name in [*order, *percents] if name not in policies]
    if unknown or len(set(order)) != len(order):
        raise BadInputError(f"policy_order and rate_allocation must name sub-policies, each once: {unknown or order}")
    left = 100 - sum(percents.values())
    without = [name for name in order if name not in percents]
    if left < -1e-9:
        raise BadInputError("rate_allocation gives more than 100 percent away")
    parts = tuple(rate * percents.get(name, max(0, left) / max(1, len(without))) / 100 for name in order)
    return Composite(rate, tuple(policies[name] for name in order), parts)


def _allocation(item: Fields) -> tuple[str, float]:
    name, percent = item.text("policy"), item.read("percent", _finite, None)
    item.done()
    if percent is None or not 0 <= percent <= 100:
        raise BadInputError("percent must be between 0 and 100")
    return name, percent


def _both(inner: Fields) -> Rule:
    return Both(_policies(inner, "and_sub_policy", _LEAVES))


_LEAVES: Mapping[str, _Reader] = {
    "always_sample": lambda _: Always(),
    "latency": _latency,
    "status_code": _status,
    "string_attribute": _texts,
    "numeric_attribute": _numbers,
    "boolean_attribute": lambda inner: Truth(_key(inner), inner.boolean("value", False)),
    "trace_state": _state,
    "span_count": _span_count,
    "query": _query,
    "probabilistic": _probabilistic,
    "rate_limiting": lambda inner: RateLimiting(_rate(inner, "spans_per_second")),
    "rare": _rare,
}
_MATCHING = {name: reader for name, reader in _LEAVES.items() if name not in ("rate_limiting", "rare")}
_GROUPS: Mapping[str, _Reader] = {
    "and": _both,
    "drop": lambda inner: Drop(_policies(inner, "drop_sub_policy", _MATCHING)),
    "composite": _composite,
}


def problems(text: str, file: str) -> Sequence[Problem]:
    """Everything that is wrong with a text."""
    try:
        read(text, file)
    except FileError as error:
        return error.problems
    return ()
