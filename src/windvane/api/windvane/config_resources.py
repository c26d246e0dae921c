"""Own routes about the configuration as it is: the resources of the newest load, and one with its YAML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.api.windvane.docs import Parameter, RouteDoc, documented
from windvane.api.windvane.status import FoundProblem
from windvane.api.windvane.telemetry import PREFIX
from windvane.kit.errors import NotFoundError
from windvane.mesh.files import LoadResult
from windvane.mesh.findings import Finding
from windvane.mesh.merging import live_shares
from windvane.mesh.written import Written


class ListedMesh(Protocol):
    """The mesh as its newest load has it, whether it took effect or not."""

    written: tuple[Written, ...]
    result: LoadResult

    def findings(self) -> list[Finding]: ...


class ListedResource(BaseModel):
    """A resource and how much was found about it, by level; `line` is where its text begins in `file`."""

    kind: str
    namespace: str
    name: str
    file: str
    line: int
    errors: int
    warnings: int
    infos: int


class ListedService(BaseModel):
    """A service with the versions that its workloads have, by their label `version`, and its ports.

    `shares` are the weights by version of the rule for all requests that no other takes, empty without one.
    """

    service: str
    namespace: str
    versions: list[str]
    shares: dict[str, int]
    ports: list[int]


class ConfigResources(BaseModel):
    """Resources of the newest load; `applied` is false while it is refused and the one before is in force."""

    version: str | None
    applied: bool
    resources: list[ListedResource]
    findings: list[FoundProblem]
    services: list[ListedService]
    workloads: list[str]


class ResourceText(BaseModel):
    """One resource: its YAML, where it begins in the file, and what was found about it."""

    kind: str
    namespace: str
    name: str
    file: str
    line: int
    yaml: str
    findings: list[FoundProblem]


_LIST = RouteDoc("The mesh's resources, and what was found about them", ConfigResources)
_ONE = RouteDoc(
    "One resource of the mesh, with its YAML",
    ResourceText,
    tuple(Parameter(name, f"Its {name}.", required=True) for name in ("kind", "namespace", "name")),
)


def routes(mesh: Callable[[], ListedMesh | None]) -> list[BaseRoute]:
    """The routes of one mesh; without one the list is empty."""

    def resources(_: Request) -> Response:
        there = mesh()
        return _json(_listed(there) if there else _NOTHING)

    def resource(request: Request) -> Response:
        there = mesh()
        key = tuple(request.query_params.get(name, "") for name in ("kind", "namespace", "name"))
        found = next((one for one in (there.written if there else ()) if one.key == key), None)
        if there is None or found is None:
            raise NotFoundError("the mesh has no {} {}/{}".format(*key))
        return _json(_text(found, there.findings()))

    return [
        documented(f"{PREFIX}/config/resources", resources, _LIST),
        documented(f"{PREFIX}/config/resource", resource, _ONE),
    ]


_NOTHING = ConfigResources(version=None, applied=False, resources=[], findings=[], services=[], workloads=[])


def _listed(mesh: ListedMesh) -> ConfigResources:
    findings, view = mesh.findings(), mesh.result.view
    counts = Counter[tuple[str, str]]((one.resource, one.level) for one in findings)
    return ConfigResources(
        version=view.version if view else None,
        applied=mesh.result.accepted and view is not None,
        resources=[_resource(one, counts) for one in mesh.written],
        findings=_problems(findings),
        services=_services(mesh),
        workloads=sorted(view.workloads) if view else [],
    )


def _services(mesh: ListedMesh) -> list[ListedService]:
    view = mesh.result.view
    found = []
    for service in view.services.values() if view else ():
        labels = [view.workloads[key].labels for key in service.workloads if view and key in view.workloads]
        found.append(
            ListedService(
                service=service.name,
                namespace=service.namespace,
                versions=sorted({each["version"] for each in labels if each.get("version")}),
                shares=live_shares(service.name, service.namespace, mesh.written),
                ports=[port.number for port in service.ports],
            )
        )
    return sorted(found, key=lambda each: (each.namespace, each.service))


def _resource(one: Written, counts: Counter[tuple[str, str]]) -> ListedResource:
    reference = one.reference
    return ListedResource(
        kind=one.kind,
        namespace=one.namespace,
        name=one.name,
        file=one.file,
        line=one.line,
        errors=counts[reference, "error"],
        warnings=counts[reference, "warning"],
        infos=counts[reference, "info"],
    )


def _text(one: Written, findings: Sequence[Finding]) -> ResourceText:
    return ResourceText(
        kind=one.kind,
        namespace=one.namespace,
        name=one.name,
        file=one.file,
        line=one.line,
        yaml=one.shown,
        findings=_problems([each for each in findings if each.resource == one.reference]),
    )


def _problems(findings: Sequence[Finding]) -> list[FoundProblem]:
    return [FoundProblem(**{name: getattr(one, name) for name in FoundProblem.model_fields}) for one in findings]


def _json(body: BaseModel) -> Response:
    return Response(orjson.dumps(body.model_dump()), media_type="application/json")
