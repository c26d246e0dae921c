"""Own routes about changing the mesh's configuration: a draft, what it would do, and its way into the files.

Every step begins with the draft's YAML and the files as they are then: what was tried is what is applied, or
is refused because a file changed.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.api.bodies import body_of
from windvane.api.windvane.config_forms import Form
from windvane.api.windvane.docs import RouteDoc, documented
from windvane.api.windvane.guard import same_origin
from windvane.api.windvane.status import FoundProblem
from windvane.api.windvane.telemetry import PREFIX
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, ConflictError, NotFoundError, OverloadedError, UnavailableError
from windvane.local.edits import write_edits
from windvane.mesh.drafts import Draft, draft, read, text_of
from windvane.mesh.files import LoadResult
from windvane.mesh.findings import Finding
from windvane.mesh.merging import merged
from windvane.mesh.view import MeshView
from windvane.mesh.written import Written

_MAX_BODY = 1 << 20
_NAME = r"^[a-z0-9]([-a-z0-9.]{0,200}[a-z0-9])?$"


class EditedMesh(Protocol):
    """The mesh whose files are changed, as its newest load has them."""

    written: tuple[Written, ...]
    texts: dict[str, str]
    result: LoadResult

    @property
    def roots(self) -> tuple[Path, ...]: ...

    def load_texts(self, texts: Mapping[str, str]) -> LoadResult: ...


@dataclasses.dataclass(frozen=True, slots=True)
class EditSettings:
    """What this server may do; each is "" where it may, else why not."""

    no_trial: str = ""
    no_writing: str = ""
    external_url: str = ""


class DraftRequest(BaseModel):
    """A form, or YAML of one's own; `name` is for the file that new resources would go to."""

    model_config = ConfigDict(extra="forbid")
    form: Form | None = None
    yaml: str = ""
    name: str = Field(default="draft", pattern=_NAME)


class DraftedResource(BaseModel):
    """A resource of a draft; `before` is empty for a new one. `loses_comments`: of its document in the file."""

    change: Literal["added", "changed", "unchanged"]
    kind: str
    namespace: str
    name: str
    file: str
    before: str
    after: str
    loses_comments: bool


class Drafted(BaseModel):
    """A draft: its YAML, what it changes, and what the analysis finds only then.

    `refused`: with it the configuration would not take effect. `expected` has a hash of each file that would be
    written (empty for a new one), to be sent along when it is applied. `no_trial` and `no_writing` say why this
    server cannot try it, or write it; empty where it can.
    """

    yaml: str
    name: str
    resources: list[DraftedResource]
    findings: list[FoundProblem]
    refused: bool
    expected: dict[str, str]
    no_trial: str
    no_writing: str


class TrialRequest(BaseModel):
    """A draft's YAML and a request for it: `METHOD URL`, headers as `name: value`, the workload that asks."""

    model_config = ConfigDict(extra="forbid")
    yaml: str
    request: str
    headers: list[str] = []
    asker: str = Field(default="", alias="from")
    times: int = Field(default=1, ge=1, le=1_000)


class TrialOutcome(BaseModel):
    """Requests of a trial that went the same way, as `windvane try` tells them; `share` with its 95 % interval."""

    status: int
    workload: str
    cluster: str
    route: str
    flags: str
    details: str
    refused_by: str
    count: int
    share: float
    low: float
    high: float
    attempts: int
    median_ms: float
    mirrored_to: list[str]
    path: str
    authority: str
    request_headers: dict[str, Any]
    response_headers: dict[str, Any]
    mutual_tls: str
    failure: str


class TrialAnswer(BaseModel):
    """What became of a trial's requests, the largest share first; `asker` is who asked."""

    asker: str
    requests: int
    outcomes: list[TrialOutcome]


class ApplyRequest(BaseModel):
    """A draft to be written into the mesh's files, which must be as `expected` says."""

    model_config = ConfigDict(extra="forbid")
    yaml: str
    name: str = Field(default="draft", pattern=_NAME)
    expected: dict[str, str]


class Applied(BaseModel):
    """The files that were written, and the hash of the configuration that they make."""

    files: list[str]
    version: str


_DRAFT = RouteDoc(
    "A change of the configuration, drafted",
    Drafted,
    description="Resources for an intention as `windvane new` makes them, joined with those that are live; or YAML "
    "of one's own. Nothing is written.",
    body=DraftRequest,
)
_TRY = RouteDoc(
    "A draft tried on real Envoys",
    TrialAnswer,
    description="As `windvane try` with the mesh's files and the draft; one at a time. Nothing is written.",
    body=TrialRequest,
)
_APPLY = RouteDoc(
    "A draft written into the mesh's files",
    Applied,
    description="Only where the server was started with `--allow-edits`. Each file is replaced as a whole; none is "
    "written when one has changed since the draft, or when the configuration would be refused.",
    body=ApplyRequest,
)


def routes(mesh: EditedMesh | None, settings: EditSettings, clock: Clock) -> list[BaseRoute]:
    """The routes of one mesh; without one they answer that there is none."""
    face = _Editing(mesh, settings, clock)
    return [
        documented(f"{PREFIX}/config/draft", face.draft, _DRAFT),
        documented(f"{PREFIX}/config/try", face.attempt, _TRY),
        documented(f"{PREFIX}/config/apply", face.apply, _APPLY),
    ]


class _Editing:
    def __init__(self, mesh: EditedMesh | None, settings: EditSettings, clock: Clock) -> None:
        self._mesh, self._settings, self._clock = mesh, settings, clock
        self._trying, self._writing = asyncio.Lock(), asyncio.Lock()

    async def draft(self, request: Request) -> Response:
        asked = await self._asked(request, DraftRequest)
        mesh = self._given()
        if asked.form is not None:
            made = merged(asked.form.resources(), asked.form.kind, mesh.written)
            text, name = text_of(made, mesh.written), asked.form.file
        else:
            text, name = asked.yaml, asked.name
        drafted = _drafted(mesh, text, name)
        result = await asyncio.to_thread(mesh.load_texts, drafted.texts)
        return _json(self._described(mesh, drafted, result, text, name))

    async def attempt(self, request: Request) -> Response:
        asked = await self._asked(request, TrialRequest)
        mesh = self._given()
        if self._settings.no_trial:
            raise UnavailableError(self._settings.no_trial)
        if self._trying.locked():
            raise OverloadedError("another trial is running: one at a time", retry_after=2)
        async with self._trying:
            view = await asyncio.to_thread(_accepted, mesh, _drafted(mesh, asked.yaml, "draft"))
            return _json(await self._tried(view, asked))

    async def apply(self, request: Request) -> Response:
        asked = await self._asked(request, ApplyRequest)
        mesh = self._given()
        if self._settings.no_writing:
            raise ConflictError(self._settings.no_writing)
        async with self._writing:
            drafted = _drafted(mesh, asked.yaml, asked.name)
            if asked.expected != _expected(drafted):
                raise ConflictError("the mesh's files have changed since the draft was made: make it again")
            view = await asyncio.to_thread(_accepted, mesh, drafted)
            await asyncio.to_thread(write_edits, drafted.edits, mesh.roots)
        return _json(Applied(files=[str(edit.file) for edit in drafted.edits], version=view.version))

    async def _asked(self, request: Request, model: type[Any]) -> Any:
        same_origin(request, self._settings.external_url)
        try:
            return model.model_validate_json(await body_of(request, _MAX_BODY))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise BadInputError(f"{place or 'body'}: {first['msg']}") from None

    def _given(self) -> EditedMesh:
        if self._mesh is None:
            raise NotFoundError("this server has no mesh of its own (--mesh)")
        return self._mesh

    def _described(self, mesh: EditedMesh, drafted: Draft, result: LoadResult, text: str, name: str) -> Drafted:
        return Drafted(
            yaml=text,
            name=name,
            resources=[
                DraftedResource(
                    change="added" if not one.before else "changed" if one.before != one.after else "unchanged",
                    **{**dataclasses.asdict(one), "file": str(one.file)},
                )
                for one in drafted.resources
            ],
            findings=[_problem(one) for one in _news(mesh.result.findings, result.findings)],
            refused=not result.accepted,
            expected=_expected(drafted),
            no_trial=self._settings.no_trial,
            no_writing=self._settings.no_writing,
        )

    async def _tried(self, view: MeshView, asked: TrialRequest) -> TrialAnswer:
        # Here, so that a server starts without what only a trial needs.
        from windvane.local.trial.asking import parse_request, with_client  # noqa: PLC0415
        from windvane.local.trial.mesh import running  # noqa: PLC0415
        from windvane.local.trial.outcome import outcomes  # noqa: PLC0415
        from windvane.local.trial.sending import ask  # noqa: PLC0415

        wanted = parse_request(asked.request, asked.headers)
        view, client = with_client(view, wanted, asked.asker)
        async with running(view, [(client, wanted)], self._clock) as trial:
            found = outcomes(wanted, await ask(trial, client, wanted, asked.times))
        told = [TrialOutcome.model_validate(dataclasses.asdict(one)) for one in found]
        return TrialAnswer(asker=client, requests=asked.times, outcomes=told)


def _drafted(mesh: EditedMesh, text: str, name: str) -> Draft:
    return draft(read(text), mesh.written, mesh.texts, mesh.roots, name)


def _accepted(mesh: EditedMesh, drafted: Draft) -> MeshView:
    """The mesh with the draft; `BadInputError` when it would not take effect."""
    result = mesh.load_texts(drafted.texts)
    if result.view is None:
        wrong = "; ".join(str(one) for one in result.findings if one.refuses)
        raise BadInputError(f"the configuration would be refused: {wrong}")
    return result.view


def _expected(drafted: Draft) -> dict[str, str]:
    return {
        str(edit.file): "" if edit.before is None else hashlib.sha256(edit.before.encode()).hexdigest()
        for edit in drafted.edits
    }


def _news(before: Sequence[Finding], after: Sequence[Finding]) -> list[Finding]:
    """Findings that were not there before, wherever they stand in the file."""
    known = {(one.code, one.resource, one.path, one.message) for one in before}
    return [one for one in after if (one.code, one.resource, one.path, one.message) not in known]


def _problem(one: Finding) -> FoundProblem:
    return FoundProblem(**{name: getattr(one, name) for name in FoundProblem.model_fields})


def _json(body: BaseModel) -> Response:
    return Response(orjson.dumps(body.model_dump()), media_type="application/json")
