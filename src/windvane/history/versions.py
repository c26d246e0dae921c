"""Versions of a configuration as values: resources, what changed between two sets of them, answers of proxies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Key: TypeAlias = tuple[str, str, str]
"""Kind, namespace and name."""
What = Literal["added", "changed", "removed"]


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of a configuration: its YAML, where that stood, and a hash of what it means."""

    kind: str
    namespace: str
    name: str
    file: str
    line: int
    digest: str
    text: str

    @property
    def key(self) -> Key:
        return self.kind, self.namespace, self.name


@dataclass(frozen=True, slots=True)
class Change:
    """One resource that is not the same on both sides; `before` or `after` is "" where there is none."""

    what: What
    kind: str
    namespace: str
    name: str
    file: str
    line: int
    digest: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a proxy said to a version: all of it acknowledged (`type` is ""), or a type rejected and why."""

    node: str
    workload: str
    namespace: str
    type: str
    reason: str
    answered_ms: int


@dataclass(frozen=True, slots=True)
class Version:
    """A configuration that went live; `number` counts them from 1, `hash` is of its content.

    `until_ms` is when the next one did, None for the newest. `changes` has no YAML in lists of versions.
    """

    number: int
    hash: str
    live_ms: int
    services: int
    workloads: int
    until_ms: int | None = None
    changes: Sequence[Change] = ()
    answers: Sequence[Answer] = ()


def changes(before: Mapping[Key, Resource], after: Iterable[Resource]) -> list[Change]:
    """What changed in meaning, in the order of kind, namespace and name."""
    now = {one.key: one for one in after}
    found = [_change("removed", one, one.text, "") for key, one in before.items() if key not in now]
    for key, one in now.items():
        former = before.get(key)
        if former is None:
            found.append(_change("added", one, "", one.text))
        elif former.digest != one.digest:
            found.append(_change("changed", one, former.text, one.text))
    return sorted(found, key=lambda each: (each.kind, each.namespace, each.name))


def _change(what: What, one: Resource, before: str, after: str) -> Change:
    return Change(what, *one.key, one.file, one.line, one.digest, before, after)
