"""Canaries in a mesh's files: which there are, which routes they change, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from windvane.kit.errors import ConflictError, NotFoundError, WindvaneError
from windvane.kit.yaml_nodes import FileError, Problem
from windvane.mesh.findings import Finding, finding
from windvane.mesh.written import Written
from windvane.rollout.plan import KIND, Plan, read
from windvane.rollout.weights import find

Key = tuple[str, str]
"""Namespace and name of a Canary."""


@dataclass(frozen=True, slots=True)
class Given:
    """A Canary as its file has it. It can be carried out where it has a plan, a file of routes, and no problem."""

    document: Written
    plan: Plan | None = None
    routes: str = ""
    problems: tuple[Problem, ...] = ()
    code: str = "WV0701"

    @property
    def key(self) -> Key:
        """What it is known by."""
        return self.document.namespace, self.document.name


def canaries(documents: Sequence[Written], texts: Mapping[str, str]) -> list[Given]:
    """The Canaries among documents, in their order; `texts` are all files of the mesh."""
    found: list[Given] = []
    for document in documents:
        if document.kind == KIND:
            given = _read(document, texts)
            found.append(_clashing(given, found) or given)
    return found


def findings(documents: Sequence[Written], texts: Mapping[str, str]) -> Iterator[Finding]:
    """What is wrong with the Canaries among documents: a reader of `windvane.mesh.files.FileSource`."""
    for given in canaries(documents, texts):
        for problem in given.problems:
            yield finding(
                given.code,
                problem.message,
                resource=f"{KIND} {given.document.namespace}/{given.document.name or '?'}",
                file=problem.file,
                line=problem.line or given.document.line,
                path=problem.path,
            )


def routes_of(plan: Plan, texts: Mapping[str, str]) -> str:
    """The file with a plan's routes; `NotFoundError` where there is none, `ConflictError` where there are two."""
    files = []
    for file, text in texts.items():
        if plan.baseline in text and plan.canary in text and plan.service in text:
            try:
                find(text, file, plan)
            except NotFoundError:
                continue
            files.append(file)
    if not files:
        raise NotFoundError(
            f"no file of the mesh routes {plan.service}.{plan.namespace} to the subsets "
            f"{plan.baseline} and {plan.canary} by weight"
        )
    if len(files) > 1:
        raise ConflictError(f"{' and '.join(files)} both route {plan.service} to {plan.baseline} and {plan.canary}")
    return files[0]


def _read(document: Written, texts: Mapping[str, str]) -> Given:
    try:
        plan = read("\n" * (document.line - 1) + document.text, document.file)
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
            return replace(given, problems=(_problem(given.document, message, "spec.service"),), code="WV0702")
    return None


def _problem(document: Written, message: str, path: str = "") -> Problem:
    return Problem(document.file, document.line, path, message)
