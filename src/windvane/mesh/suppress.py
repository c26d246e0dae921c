"""Findings that somebody has said not to tell: by an annotation of the resource, or by code and resource.

Both as `istioctl analyze` has them: the annotation lists codes, or `*` for all; a pattern is `CODE=RESOURCE`, where
`*` stands for any text and the resource is written `Kind name.namespace` or as findings write it,
`Kind namespace/name`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from windvane.kit.errors import BadInputError
from windvane.mesh.findings import CODES, Finding
from windvane.mesh.models import Resource

ANNOTATION = "galley.istio.io/analyze-suppress"


@dataclass(frozen=True, slots=True)
class Suppression:
    """A code and a pattern of resources."""

    code: str
    resource: str

    @classmethod
    def parse(cls, text: str) -> Suppression:
        """`CODE=RESOURCE`; `BadInputError` for anything else."""
        code, equals, resource = text.partition("=")
        if not equals or not resource:
            raise BadInputError(f"{text!r} is not CODE=RESOURCE, for example 'IST0118=Service web.shop'")
        if code not in CODES:
            raise BadInputError(f"{code!r} is not the code of a finding")
        return cls(code, resource)

    def covers(self, item: Finding) -> bool:
        """Whether a finding is meant."""
        return item.code == self.code and any(fnmatchcase(name, self.resource) for name in _names(item.resource))


def told(findings: Iterable[Finding], suppressions: Iterable[Suppression]) -> Iterator[Finding]:
    """The findings that no suppression covers."""
    unwanted = list(suppressions)
    return (item for item in findings if not any(one.covers(item) for one in unwanted))


def told_of(resource: Resource, code: str) -> bool:
    """Whether a resource's annotation lets a finding of this code be told. What refuses a load always is."""
    given = {part.strip() for part in resource.annotations.get(ANNOTATION, "").split(",")}
    return CODES[code].refuses or not given & {code, "*"}


def _names(reference: str) -> tuple[str, ...]:
    kind, _, name = reference.partition(" ")
    namespace, slash, own = name.partition("/")
    return (reference, f"{kind} {own}.{namespace}") if slash else (reference,)
