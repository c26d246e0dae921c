"""Relabelling: rules that keep, drop and rewrite label sets, as Prometheus's `relabel_configs`.

Expressions are RE2, anchored at both ends. A rule sees the joined values of its source labels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, model_validator

from windvane.ingest.scrape.fields import Model, Natural, Text, Texts, valid_name
from windvane.promql.regex import anchored, expand, problem

Labels = dict[str, str]
_Step = Callable[[Labels], bool]

_DEFAULT_REGEX, _DEFAULT_REPLACEMENT, _DEFAULT_SEPARATOR = "(.*)", "$1", ";"
_NEED_TARGET = {"replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal"}
_PLAIN_TARGET = {"hashmod", "lowercase", "uppercase", "keepequal", "dropequal"}


def _expression(pattern: str) -> str:
    wrong = problem(pattern)
    if wrong:
        raise ValueError(f"error parsing regexp: {wrong}")
    return pattern


def _action(value: Any) -> str:
    return str(value).lower() if isinstance(value, str) else ""


Action = Annotated[
    Literal[
        "replace", "keep", "drop", "keepequal", "dropequal", "hashmod", "labelmap", "labeldrop", "labelkeep",
        "lowercase", "uppercase",
    ],
    BeforeValidator(_action),
]  # fmt: skip


class RelabelRule(Model):
    """One step; see Prometheus's documentation of `<relabel_config>` for what the fields mean."""

    source_labels: Texts = ()
    separator: Text = _DEFAULT_SEPARATOR
    regex: Annotated[Text, AfterValidator(_expression)] = _DEFAULT_REGEX
    modulus: Natural = 0
    target_label: Text = ""
    replacement: Text = _DEFAULT_REPLACEMENT
    action: Action = "replace"

    @model_validator(mode="after")
    def _consistent(self) -> RelabelRule:
        action = self.action
        if action in _NEED_TARGET and not self.target_label:
            raise ValueError(f"relabel configuration for {action} action requires 'target_label' value")
        if action == "hashmod" and not self.modulus:
            raise ValueError("relabel configuration for hashmod requires non-zero modulus")
        if action in _PLAIN_TARGET and not valid_name(self.target_label, "utf8"):
            raise ValueError(f"{self.target_label!r} is invalid 'target_label' for {action} action")
        if action in {"lowercase", "uppercase"} and self.replacement != _DEFAULT_REPLACEMENT:
            raise ValueError(f"'replacement' can not be set for {action} action")
        if action == "labelmap" and not self.replacement:
            raise ValueError("'' is invalid 'replacement' for labelmap action")
        if action in {"labeldrop", "labelkeep"} and self._set_beside({"regex"}):
            raise ValueError(f"{action} action requires only 'regex', and no other fields")
        if action in {"keepequal", "dropequal"} and self._set_beside({"source_labels", "target_label"}):
            raise ValueError(f"{action} action requires only 'source_labels' and `target_label`, and no other fields")
        return self

    def _set_beside(self, allowed: set[str]) -> bool:
        """Whether any field other than these (and the action) differs from its default."""
        fields = set(type(self).model_fields) - allowed - {"action"}
        return any(getattr(self, name) != type(self).model_fields[name].default for name in fields)


class Relabeller:
    """Rules made ready to run."""

    def __init__(self, rules: Sequence[RelabelRule], scheme: str = "utf8") -> None:
        self._steps = [_step(rule, scheme) for rule in rules]

    def __bool__(self) -> bool:
        return bool(self._steps)

    def __call__(self, labels: Mapping[str, str]) -> Labels | None:
        """Labels after all rules, empty values dropped; None when a rule dropped the set."""
        out = dict(labels)
        for step in self._steps:
            if not step(out):
                return None
        return {name: value for name, value in out.items() if value}

    def trace(self, labels: Mapping[str, str]) -> list[tuple[Labels, bool]]:
        """The labels after each rule, and whether it kept them; ends with the first that did not."""
        out, seen = dict(labels), []
        for step in self._steps:
            kept = step(out)
            seen.append(({name: value for name, value in out.items() if value} if kept else {}, kept))
            if not kept:
                break
        return seen


def _step(rule: RelabelRule, scheme: str) -> _Step:
    """The rule as a function that changes labels in place; False when it drops them."""
    target, modulus = rule.target_label, rule.modulus
    joined = _joined(rule)
    match rule.action:
        case "replace":
            return _replace(rule, joined, scheme)
        case "hashmod":
            return _setting(target, lambda labels: str(hashmod(joined(labels), modulus)))
        case "lowercase" | "uppercase":
            change = str.lower if rule.action == "lowercase" else str.upper
            return _setting(target, lambda labels: change(joined(labels)))
        case "labelmap":
            return _labelmap(rule)
        case "labeldrop" | "labelkeep":
            return _choosing(rule.regex, keep=rule.action == "labelkeep")
    return _filter(rule, joined)


def _joined(rule: RelabelRule) -> Callable[[Labels], str]:
    sources, separator = rule.source_labels, rule.separator
    if len(sources) == 1:
        single = sources[0]
        return lambda labels: labels.get(single, "")
    return lambda labels: separator.join(labels.get(name, "") for name in sources)


def _filter(rule: RelabelRule, joined: Callable[[Labels], str]) -> _Step:
    matcher, target, keeps = anchored(rule.regex).fullmatch, rule.target_label, rule.action.startswith("keep")
    if rule.action.endswith("equal"):
        return lambda labels: (labels.get(target, "") == joined(labels)) == keeps
    return lambda labels: (matcher(joined(labels)) is not None) == keeps


def hashmod(text: str, modulus: int) -> int:
    """The last eight bytes of the MD5, big-endian, modulo `modulus`."""
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[8:], "big") % modulus


def _setting(target: str, value: Callable[[Labels], str]) -> _Step:
    def step(labels: Labels) -> bool:
        labels[target] = value(labels)
        return True

    return step


def _replace(rule: RelabelRule, joined: Callable[[Labels], str], scheme: str) -> _Step:
    matcher, target, replacement = anchored(rule.regex).fullmatch, rule.target_label, rule.replacement
    fixed_target, fixed_value = "$" not in target, "$" not in replacement

    def step(labels: Labels) -> bool:
        match = matcher(joined(labels))
        if match is None:
            return True
        name = target if fixed_target else expand(target, match)
        if valid_name(name, scheme):
            labels[name] = replacement if fixed_value else expand(replacement, match)
        return True

    return step


def _labelmap(rule: RelabelRule) -> _Step:
    matcher = anchored(rule.regex).fullmatch

    def step(labels: Labels) -> bool:
        for name, value in list(labels.items()):
            match = matcher(name) if value else None
            if match is not None:
                labels[expand(rule.replacement, match)] = value
        return True

    return step


def _choosing(pattern: str, *, keep: bool) -> _Step:
    matcher = anchored(pattern).fullmatch

    def step(labels: Labels) -> bool:
        for name in list(labels):
            if (matcher(name) is not None) != keep:
                del labels[name]
        return True

    return step
