"""Prometheus's rule files, unchanged: groups of recording and alerting rules.

Reading is strict: unknown fields, invalid names, expressions and templates are all reported with file,
line, column and path, and a file with any problem is refused as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from windvane.alerting import template
from windvane.alerting.document import open_document
from windvane.kit.errors import BadInputError
from windvane.kit.strict_yaml import Mapping, read_text
from windvane.kit.yaml_nodes import FileError, Problem
from windvane.promql.errors import ParseError
from windvane.promql.parse import parse
from windvane.promql.printer import to_text

NAME = "__name__"
_CLASSIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """One rule; `expr` is PromQL as written, durations are seconds. Labels of its group are merged in."""

    name: str
    expr: str
    alerting: bool = False
    hold: float = 0.0
    keep_firing_for: float = 0.0
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    line: int = field(default=0, compare=False)

    @property
    def query(self) -> str:
        """The expression on one line, as Prometheus prints it."""
        return to_text(parse(self.expr))


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """One group; `interval` and `query_offset` in seconds, None where the server's default applies."""

    name: str
    file: str
    rules: tuple[RuleSpec, ...]
    interval: float | None = None
    query_offset: float | None = None
    limit: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """What identifies a group: names need to be unique within one file only."""
        return self.file, self.name


def load(path: Path) -> list[GroupSpec]:
    """The groups of one file; `FileError` names everything that is wrong with it."""
    groups, problems = read(read_text(path), str(path))
    if problems:
        raise FileError(problems)
    return groups


def read(text: str, file: str) -> tuple[list[GroupSpec], list[Problem]]:
    """The groups of a text that could be read, and every problem."""
    document = open_document(file)
    root = document.root(text)
    if root is None:
        return [], document.problems
    groups: list[GroupSpec] = []
    seen: set[str] = set()
    for mapping in root.mappings("groups"):
        group = _group(mapping, file)
        if group.name in seen:
            mapping.problem("", f'groupname: "{group.name}" is repeated in the same file')
        seen.add(group.name)
        groups.append(group)
    root.done()
    return groups, sorted(document.problems, key=lambda one: (one.line, one.column))


def _group(mapping: Mapping, file: str) -> GroupSpec:
    name = mapping.text("name")
    if not name:
        mapping.problem("", "Groupname must not be empty")
    interval = mapping.optional_duration("interval")
    offset = mapping.optional_duration("query_offset")
    limit = mapping.integer("limit", 0)
    labels = mapping.text_map("labels")
    _check_labels(mapping, labels)
    rules = tuple(_rule(one, labels) for one in mapping.mappings("rules"))
    mapping.done()
    return GroupSpec(name, file, rules, interval or None, offset, limit)


def _rule(mapping: Mapping, group_labels: dict[str, str]) -> RuleSpec:
    line = mapping.node.start_mark.line + 1 if mapping.node is not None else 0
    record_at, expr_at = mapping.field_node("record"), mapping.field_node("expr")
    record, alert, expr = mapping.text("record"), mapping.text("alert"), mapping.text("expr")
    hold, keep = mapping.duration("for", 0.0), mapping.duration("keep_firing_for", 0.0)
    labels, annotations = mapping.text_map("labels"), mapping.text_map("annotations")
    say = mapping.document.problem
    if bool(record) == bool(alert):
        mapping.problem(
            "", f"{'only one of' if record else 'one of'} 'record' {'and' if record else 'or'} 'alert' must be set"
        )
    if problem := _expression_problem(expr):
        say(expr_at, mapping.path_of("expr"), problem)
    if record:
        for problem in _record_problems(record, hold, keep, annotations):
            say(record_at, mapping.path_of("record"), problem)
    _check_labels(mapping, labels)
    for name in annotations:
        if not name or not _is_utf8(name):
            mapping.problem("", f"invalid annotation name: {name}")
    mapping.done()
    merged = {**group_labels, **labels}
    rule = RuleSpec(alert or record, expr, bool(alert), hold, keep, merged, annotations, line)
    if alert:
        _check_templates(mapping, rule)
    return rule


def _expression_problem(expr: str) -> str:
    if not expr:
        return "field 'expr' must be set in rule"
    try:
        parse(expr)
    except (ParseError, BadInputError) as error:
        return f"could not parse expression: {error.message}"
    return ""


def _record_problems(record: str, hold: float, keep: float, annotations: dict[str, str]) -> Iterable[str]:
    given = {"annotations": annotations, "for": hold, "keep_firing_for": keep}
    for name in (name for name, value in given.items() if value):
        yield f"invalid field '{name}' in recording rule"
    if not _is_utf8(record):
        yield f"invalid recording rule name: {record}"
    if "{" in record or "}" in record:
        yield f"braces present in the recording rule name; should it be in expr?: {record}"


def _check_labels(mapping: Mapping, labels: dict[str, str]) -> None:
    for name, value in labels.items():
        if not name or name == NAME or not _is_utf8(name):
            mapping.problem("", f"invalid label name: {name}")
        if not _is_utf8(value):
            mapping.problem("", f"invalid label value: {value}")


def _is_utf8(text: str) -> bool:
    """Whether a text has an encoding (a lone surrogate has none)."""
    return not any(0xD800 <= ord(one) < 0xE000 for one in text)


def _check_templates(mapping: Mapping, rule: RuleSpec) -> None:
    for kind, texts in (("label", rule.labels), ("annotation", rule.annotations)):
        for name, text in texts.items():
            try:
                template.check(rule.name, text)
            except template.TemplateError as error:
                mapping.problem("", f'{kind} "{name}": {error.message}')


def expand_globs(globs: Sequence[str], base: Path | None = None) -> list[Path]:
    """The files that globs match, each once, in the order of the globs; relative ones start at `base`."""
    found: dict[Path, None] = {}
    for pattern in globs:
        full = (base or Path()) / pattern
        parent = Path(full.anchor or ".")
        relative = str(full.relative_to(full.anchor)) if full.anchor else str(full)
        for path in sorted(parent.glob(relative)) if relative != "." else ():
            if path.is_file():
                found[path] = None
    return list(found)


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A rule name and its labels that occur more than once."""

    metric: str
    labels: dict[str, str]


def duplicates(groups: Sequence[GroupSpec]) -> list[Duplicate]:
    """Rules of equal name and labels: evaluated one after the other they overwrite each other's results."""
    counts: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
    for group in groups:
        for rule in group.rules:
            key = rule.name, tuple(sorted(rule.labels.items()))
            counts[key] = counts.get(key, 0) + 1
    return [Duplicate(name, dict(labels)) for (name, labels), count in sorted(counts.items()) if count > 1]


def odd_names(groups: Sequence[GroupSpec]) -> list[str]:
    """Names of recording rules that only UTF-8 metric names allow: valid, but seldom meant."""
    names = (rule.name for group in groups for rule in group.rules if not rule.alerting)
    return [name for name in names if not _CLASSIC_NAME.fullmatch(name)]
