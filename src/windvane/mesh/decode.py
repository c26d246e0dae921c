"""Documents to typed resources: which kind it is, whether it is ours to read, and what is wrong with it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from windvane.mesh.findings import Finding, finding
from windvane.mesh.mesh_config import is_mesh_map, with_mesh_config
from windvane.mesh.models import KINDS, Resource, gateway_api
from windvane.mesh.models.base import json_name
from windvane.mesh.yaml_source import Document, Path, path_text

_NOT_YET = {
    "networking.istio.io": (),
    "security.istio.io": (),
    "telemetry.istio.io": (),
    "extensions.istio.io": ("TrafficExtension",),
    gateway_api.GROUP: ("BackendTLSPolicy", "ListenerSet", "UDPRoute"),
}
_TABLES = (KINDS, gateway_api.KINDS)
"""Two: a `Gateway` is Istio's or Gateway API's, as its API version says."""
_OURS = ("windvane.dev/", "flagger.app/", "openslo/")
"""Documents beside a configuration, such as its tests, releases and objectives: read by whom they are for."""
_EXPECTED = {
    "int_type": "an integer",
    "float_type": "a number",
    "string_type": "a string",
    "bool_type": "true or false",
    "int_or_string_type": "an integer or a string",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Loaded:
    """A resource and the document it came from (`prefix` leads to it inside a Kubernetes List)."""

    resource: Resource
    document: Document
    prefix: Path = ()

    def finding(self, code: str, message: str, path: Path = (), kiali: str = "") -> Finding:
        """A finding about this resource, at the line of a field of it."""
        return finding(
            code,
            message,
            resource=self.resource.reference,
            file=self.document.file,
            line=self.document.line_of((*self.prefix, *path)),
            columns=self.document.columns_of((*self.prefix, *path)),
            path=path_text(path),
            kiali=kiali,
        )


@dataclass(frozen=True, slots=True)
class _Object:
    """A Kubernetes object before it is known to be well-formed."""

    value: dict[str, Any]
    document: Document
    prefix: Path
    default_namespace: str

    @property
    def reference(self) -> str:
        metadata = self.value.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        namespace = metadata.get("namespace") or self.default_namespace
        return f"{self.value.get('kind')} {namespace}/{metadata.get('name') or '?'}"

    def finding(self, code: str, message: str, path: Path = ()) -> Finding:
        return finding(
            code,
            message,
            resource=self.reference,
            file=self.document.file,
            line=self.document.line_of((*self.prefix, *path)),
            columns=self.document.columns_of((*self.prefix, *path)),
            path=path_text(path),
        )


def decode(document: Document, default_namespace: str) -> tuple[list[Loaded], list[Finding]]:
    """The resources of a document (several when it is a Kubernetes List) and what is wrong with others."""
    loaded: list[Loaded] = []
    findings: list[Finding] = []
    for prefix, value in objects(document.value):
        problem = _shapeless(value)
        if problem:
            line = document.line_of(prefix)
            findings.append(finding("WV0104", problem, file=document.file, line=line, path=path_text(prefix)))
            continue
        if value["apiVersion"].startswith(_OURS):
            continue
        item = _Object(value, document, prefix, default_namespace)
        if is_mesh_map(value):
            item, problems = _with_mesh_config(item)
            findings.extend(problems)
        found = _resource(item)
        if isinstance(found, Resource):
            loaded.append(Loaded(found, item.document, prefix))
        else:
            findings.extend(found)
    return loaded, findings


def _with_mesh_config(item: _Object) -> tuple[_Object, list[Finding]]:
    """The ConfigMap `istio` with what its text says in place of the text."""
    opened, findings = with_mesh_config(item.value, item.document, item.prefix)
    return replace(item, value=opened.value, document=opened), findings


def objects(value: Any, prefix: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The objects of a document; lists of objects (`kubectl get -o yaml`) are opened."""
    is_list = isinstance(value, dict) and str(value.get("kind", "")).endswith("List")
    if is_list and isinstance(value.get("items"), list):
        for index, item in enumerate(value["items"]):
            yield from objects(item, (*prefix, "items", index))
    else:
        yield prefix, value


def _shapeless(value: Any) -> str:
    """Why a value is no Kubernetes object; empty when it is one."""
    if not isinstance(value, dict):
        return f"not a Kubernetes object: expected a mapping, got {_shown(value)}"
    for name in ("apiVersion", "kind"):
        if not isinstance(value.get(name), str) or not value[name]:
            return f"not a Kubernetes object: {name} is missing"
    return ""


def _resource(item: _Object) -> Resource | list[Finding]:
    api_version, kind = item.value["apiVersion"], item.value["kind"]
    known = [table[kind] for table in _TABLES if kind in table]
    model = next((found for found, versions in known if api_version in versions), None)
    if kind == "ConfigMap" and not is_mesh_map(item.value):
        return [item.finding("WV0207", f"{api_version} {kind} has no meaning here: ignored")]
    if model is None:
        return [_no_model(item, api_version, kind)]
    try:
        resource = model.model_validate(item.value)
    except ValidationError as error:
        return [_from_pydantic(item, model, detail) for detail in error.errors(include_url=False)]
    if not resource.name:
        return [item.finding("WV0204", "metadata.name is required", ("metadata", "name"))]
    resource.locate(item.document.file, item.document.line_of(item.prefix), item.default_namespace)
    return resource


def _no_model(item: _Object, api_version: str, kind: str) -> Finding:
    group = api_version.rpartition("/")[0]
    versions = [version for table in _TABLES for version in table.get(kind, (None, ()))[1]]
    own = [version for version in versions if version.rpartition("/")[0] == group]
    if own:
        known = ", ".join(own)
        return item.finding("WV0205", f"{kind} has no API version {api_version} (known: {known})", ("apiVersion",))
    if kind in _NOT_YET.get(group, ()):
        message = f"not supported yet: Istio knows {group} {kind}, Windvane does not act on it"
        return item.finding("WV0206", message, ("kind",))
    if group in _NOT_YET:
        kinds = [name for table in _TABLES for name, (_, of) in table.items() if of[0].startswith(f"{group}/")]
        hint = _did_you_mean(kind, [*kinds, *_NOT_YET[group]])
        return item.finding("WV0205", f"{group} has no kind {kind}{hint}", ("kind",))
    return item.finding("WV0207", f"{api_version} {kind} has no meaning here: ignored")


def _from_pydantic(item: _Object, model: type[Resource], detail: ErrorDetails) -> Finding:
    path = _written_path(item.value, detail["loc"])
    kind = detail["type"]
    if kind == "extra_forbidden":
        hint = _did_you_mean(str(path[-1]), _field_names(model, path[:-1]))
        return item.finding("WV0201", f"unknown field {path[-1]}{hint}", path)
    if kind == "not_supported":
        return item.finding("WV0202", detail["msg"], path)
    if kind == "missing":
        return item.finding("WV0204", f"required field {path[-1]} is missing", path)
    if kind in _EXPECTED:
        return item.finding("WV0203", f"expected {_EXPECTED[kind]}, got {_shown(detail['input'])}", path)
    if kind in ("duration", "one_of", "duplicate_field"):
        return item.finding("WV0203", detail["msg"], path)
    message = detail["msg"].replace("Input should be", "expected", 1)
    return item.finding("WV0203", f"{message}, got {_shown(detail['input'])}", path)


def _written_path(value: Any, location: Sequence[str | int]) -> Path:
    """The part of pydantic's location that names fields: it adds marks of its own after them."""
    path: Path = ()
    for part in location:
        if not isinstance(value, dict | list) or part == "[key]":
            break
        path = (*path, part)
        if isinstance(value, dict):
            spelled = next((key for key in value if json_name(key) == json_name(str(part))), None)
            value = value.get(spelled) if spelled is not None else None
        else:
            value = value[int(part)] if int(part) < len(value) else None
    return path


def _field_names(model: type[BaseModel], path: Path) -> list[str]:
    """The fields of the message at a path, in their camelCase names."""
    annotation: Any = model
    for part in path:
        message = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
        if message is not None:
            fields = {field.alias or name: field.annotation for name, field in message.model_fields.items()}
            annotation = fields.get(json_name(str(part)))
        elif get_args(annotation):  # an element of a list or mapping
            annotation = get_args(annotation)[-1 if get_origin(annotation) is dict else 0]
        annotation = _without_none(annotation)
    found = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    return [field.alias or name for name, field in found.model_fields.items()] if found else []


def _without_none(annotation: Any) -> Any:
    """`X` of `X | None`."""
    if get_origin(annotation) in (Union, UnionType):
        return next((part for part in get_args(annotation) if part is not type(None)), annotation)
    return annotation


def _did_you_mean(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
