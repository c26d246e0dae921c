"""Own routes about the configuration's history: versions, one of them, two compared, what was live at a time."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, Literal

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.api.windvane.docs import Parameter, RouteDoc, documented
from windvane.api.windvane.telemetry import PREFIX
from windvane.history.book import Book
from windvane.history.versions import Answer, Change, Resource, Version
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError

DEFAULT_LIMIT = 100
_SHOWN = 3
_LISTED = 20


class ConfigChange(BaseModel):
    """A resource that was added, changed or removed; `file` and `line` say where it stood."""

    change: Literal["added", "changed", "removed"]
    kind: str
    namespace: str
    name: str
    file: str
    line: int


class ConfigChangeText(ConfigChange):
    """The same with its YAML; `before` or `after` is empty where there is none."""

    before: str
    after: str


class ProxyAnswer(BaseModel):
    """A proxy that acknowledged all of a version, or rejected a `type` of it (`reason`); seconds since the epoch."""

    node_id: str
    workload: str
    namespace: str
    state: Literal["acknowledged", "rejected"]
    type: str
    reason: str
    at: float


class ConfigVersion(BaseModel):
    """A configuration that went live at `live_at` and stayed until `until` (seconds since the epoch; null: it is live).

    `version` is a hash of its content, `number` counts from 1; `acknowledged` and `rejected` count proxies; `added`,
    `changed` and `removed` count resources, of which a list of versions names the first 20 in `changes`.
    """

    number: int
    version: str
    live_at: float
    until: float | None
    services: int
    workloads: int
    added: int
    changed: int
    removed: int
    changes: list[ConfigChange]
    acknowledged: int
    rejected: int


class ConfigVersions(BaseModel):
    """Newest first."""

    versions: list[ConfigVersion]


class ConfigResource(BaseModel):
    """A resource of a version, with its YAML."""

    kind: str
    namespace: str
    name: str
    file: str
    line: int
    yaml: str


class ConfigVersionDetails(ConfigVersion):
    """One version: what it changed, what proxies said to it in the order of time, and all of its resources."""

    changes: list[ConfigChangeText]  # type: ignore[assignment]  # a list of a subclass, which is never appended to
    proxies: list[ProxyAnswer]
    resources: list[ConfigResource]


class ConfigDiff(BaseModel):
    """What differs from one version to another."""

    older: ConfigVersion
    newer: ConfigVersion
    changes: list[ConfigChangeText]


class Annotation(BaseModel):
    """A version as Grafana's annotations are written: times in milliseconds."""

    time: int
    title: str
    text: str
    tags: list[str]
    number: int


class Annotations(BaseModel):
    """Oldest first."""

    annotations: list[Annotation]


_SPAN = (
    Parameter("start", "Only versions that were live at or after this time (RFC 3339 or Unix seconds)."),
    Parameter("end", "Only versions that went live until then."),
    Parameter("service", "Only versions that changed a resource of this name, or one that names it."),
)
_LIMIT = Parameter("limit", "So many, the newest.", type="integer", default=DEFAULT_LIMIT)
_LIST = RouteDoc("Versions of the mesh's configuration", ConfigVersions, (*_SPAN, _LIMIT))
_ONE = RouteDoc(
    "One version of the configuration",
    ConfigVersionDetails,
    (Parameter("version", "Its number, or the beginning of its hash.", place="path"),),
)
_AT = RouteDoc(
    "The configuration that was live at a time",
    ConfigVersionDetails,
    (Parameter("time", "RFC 3339 or Unix seconds; now where nothing is said."),),
)
_DIFF = RouteDoc(
    "Two versions of the configuration compared",
    ConfigDiff,
    (Parameter("from", "The older one.", required=True), Parameter("to", "The newer one.", required=True)),
)
_MARKS = RouteDoc("Changes of the configuration as annotations of charts", Annotations, (*_SPAN, _LIMIT))


def routes(book: Book, clock: Clock) -> list[BaseRoute]:
    """The routes over one store's history; they block."""

    def found(request: Request) -> list[Version]:
        start, end = _time(request, "start"), _time(request, "end")
        return book.versions(_limit(request), start, end, request.query_params.get("service", ""))

    def versions(request: Request) -> Response:
        return _json(ConfigVersions(versions=[ConfigVersion(**_head(one)) for one in found(request)]))

    def annotations(request: Request) -> Response:
        return _json(Annotations(annotations=[_annotation(one) for one in reversed(found(request))]))

    def one(request: Request) -> Response:
        return _json(_details(book, book.version(request.path_params["version"])))

    def at(request: Request) -> Response:
        moment = _time(request, "time")
        return _json(_details(book, book.at(clock.now_ns() // 1_000_000 if moment is None else moment)))

    def diff(request: Request) -> Response:
        names = [request.query_params.get(name, "") for name in ("from", "to")]
        if not all(names):
            raise BadInputError("from and to name the two versions to compare")
        older, newer, changes = book.between(*names)
        body = ConfigDiff(
            older=ConfigVersion(**_head(older)), newer=ConfigVersion(**_head(newer)), changes=_texts(changes)
        )
        return _json(body)

    base = f"{PREFIX}/config/history"
    return [
        documented(base, versions, _LIST),
        documented(f"{base}/annotations", annotations, _MARKS),
        documented(f"{base}/at", at, _AT),
        documented(f"{base}/diff", diff, _DIFF),
        documented(f"{base}/{{version}}", one, _ONE),
    ]


def _head(version: Version) -> dict[str, Any]:
    rejecting = {one.node for one in version.answers if one.type}
    return {
        "number": version.number,
        "version": version.hash,
        "live_at": version.live_ms / 1e3,
        "until": None if version.until_ms is None else version.until_ms / 1e3,
        "services": version.services,
        "workloads": version.workloads,
        **{what: sum(one.what == what for one in version.changes) for what in ("added", "changed", "removed")},
        "changes": [_change(one) for one in version.changes[:_LISTED]],
        "acknowledged": len({one.node for one in version.answers if not one.type}),
        "rejected": len(rejecting),
    }


def _details(book: Book, version: Version) -> ConfigVersionDetails:
    return ConfigVersionDetails(
        **{
            **_head(version),
            "changes": _texts(version.changes),
            "proxies": [_answer(one) for one in version.answers],
            "resources": [_resource(one) for one in book.resources(version.number)],
        }
    )


def _change(one: Change) -> ConfigChange:
    return ConfigChange(
        change=one.what, kind=one.kind, namespace=one.namespace, name=one.name, file=one.file, line=one.line
    )


def _texts(changes: Sequence[Change]) -> list[ConfigChangeText]:
    return [ConfigChangeText(**_change(one).model_dump(), before=one.before, after=one.after) for one in changes]


def _answer(one: Answer) -> ProxyAnswer:
    return ProxyAnswer(
        node_id=one.node,
        workload=one.workload,
        namespace=one.namespace,
        state="rejected" if one.type else "acknowledged",
        type=one.type,
        reason=one.reason,
        at=one.answered_ms / 1e3,
    )


def _resource(one: Resource) -> ConfigResource:
    return ConfigResource(
        kind=one.kind, namespace=one.namespace, name=one.name, file=one.file, line=one.line, yaml=one.text
    )


def _annotation(version: Version) -> Annotation:
    shown = [f"{one.what} {one.kind} {one.namespace}/{one.name}" for one in version.changes[:_SHOWN]]
    more = len(version.changes) - _SHOWN
    return Annotation(
        time=version.live_ms,
        title=f"configuration {version.number}",
        text="; ".join([*shown, *([f"{more} more"] if more > 0 else [])]),
        tags=sorted({one.kind for one in version.changes}),
        number=version.number,
    )


def _time(request: Request, name: str) -> int | None:
    """A parameter's time in milliseconds since the epoch."""
    text = request.query_params.get(name, "")
    if not text:
        return None
    try:
        return round(float(text) * 1e3)
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise BadInputError(f"{name}: {text!r} is neither Unix seconds nor a time as 2026-01-31T12:00:00Z") from None
    return round((moment if moment.tzinfo else moment.astimezone()).timestamp() * 1e3)


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdecimal()):
        raise BadInputError(f"limit: {text!r} is not a number")
    return int(text)


def _json(body: BaseModel) -> Response:
    return Response(orjson.dumps(body.model_dump()), media_type="application/json")
