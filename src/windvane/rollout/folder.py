"""Canaries in a mesh's files: which there are, which routes they change, and what is wrong with them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from windvane.kit.errors import ConflictError, NotFoundError, WindvaneError
from windvane.kit.yaml_nodes import FileError, Problem
from windvane.mesh.findings import Finding, finding
from windvane.mesh.written import Written
from windvane.rollout.model import Plan
from windvane.rollout.parts import Templates
from windvane.rollout.plan import EXPERIMENT, KIND, read, templates
from windvane.rollout.queries import Template
from windvane.rollout.weights import find
from windvane.rollout.yaml_edit import Marks

Key = tuple[str, str]
"""Namespace and name of a Canary."""


@dataclass(frozen=True, slots=True)
class Given:
    """A Canary as its file has it. It can be carried out where it has a plan, a file of routes, and no problem."""

    document: Written
    plan: Plan | None = None
    routes: str = ""
    problems: tuple[Problem, ...] = ()
    code: str = "WV0710"

    @property
    def key(self) -> Key:
        """What it is known by."""
        return self.document.namespace, self.document.name


def canaries(documents: Sequence[Written], texts: Mapping[str, str]) -> list[Given]:
    """The Canaries among documents, in their order; `texts` are all files of the mesh."""
    found: list[Given] = []
    known = _templates(documents)
    for document in documents:
        if document.kind in (KIND, EXPERIMENT):
            given = _read(document, texts, known)
            found.append(_clashing(given, found) or given)
    return found


def findings(documents: Sequence[Written], texts: Mapping[str, str]) -> Iterator[Finding]:
    """What is wrong with the Canaries among documents: a reader of `windvane.mesh.files.FileSource`."""
    for given in canaries(documents, texts):
        for problem in given.problems:
            yield finding(
                given.code,
                problem.message,
                resource=f"{given.document.kind} {given.document.namespace}/{given.document.name or '?'}",
                file=problem.file,
                line=problem.line or given.document.line,
                path=problem.path,
            )


def routes_of(plan: Plan, texts: Mapping[str, str]) -> str:
    """The file with a plan's routes; `NotFoundError` where there is none, `ConflictError` where there are two."""
    files = []
    words = {word for target in plan.routed for word in (target.service, target.subset)}
    for file, text in texts.items():
        if plan.route_kind in text and all(word in text for word in words):
            try:
                find(Marks(plan.id).without(text, file)[0], file, plan)
            except NotFoundError:
                continue
            files.append(file)
    if not files:
        base, canary = plan.routed
        raise NotFoundError(f"no {plan.route_kind} among the mesh's files leads to the {base} and the {canary}")
    if len(files) > 1:
        raise ConflictError(
            f"{' and '.join(files)} all route {plan.service} to both versions: name the one with spec.routeRef"
        )
    return files[0]


def _templates(documents: Sequence[Written]) -> Templates:
    """Metric templates by namespace and name; one that cannot be read is missed by whoever names it."""
    found: dict[tuple[str, str], Template] = {}
    for document in documents:
        if document.kind == "MetricTemplate":
            with contextlib.suppress(WindvaneError):
                found.update(templates(document.text, document.file))
    return found


def _read(document: Written, texts: Mapping[str, str], known: Templates) -> Given:
    try:
        plan = read("\n" * (document.line - 1) + document.text, document.file, known)
    except FileError as error:
        return Given(document, problems=error.problems)
    except WindvaneError as error:
        return Given(document, problems=(_problem(document, error.message),))
    try:
        return Given(document, plan, routes_of(plan, texts))
    except FileError as error:
        return Given(document, plan, problems=error.problems)
    except WindvaneError as error:
        return Given(document, plan, problems=(_problem(document, error.message, "spec.service"),))


def _clashing(given: Given, before: Sequence[Given]) -> Given | None:
    """The same Canary with what keeps it from being carried out beside one that comes before it."""
    for other in before:
        where = f"{other.document.file}:{other.document.line}"
        if other.key == given.key:
            return replace(given, problems=(_problem(given.document, f"the same name as at {where}", "metadata.name"),))
        one, two = other.plan, given.plan
        if (
            one
            and two
            and not (other.problems or given.problems)
            and (one.service, one.namespace) == (two.service, two.namespace)
        ):
            message = f"{one.name} at {where} moves the weights of {one.service} already"
            return replace(given, problems=(_problem(given.document, message, "spec.service"),), code="WV0711")
    return None


def _problem(document: Written, message: str, path: str = "") -> Problem:
    return Problem(document.file, document.line, path, message)
