"""Routes that describe themselves, so that OpenAPI is made from what really answers.

`documented(path, endpoint, doc)` is a Starlette route with its `RouteDoc` on it; `operations`
collects those of an application as OpenAPI path items, and the models they refer to.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

Endpoint = Callable[[Request], Response | Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query or path parameter; `schema` is JSON Schema."""

    name: str
    description: str
    type: str = "string"
    required: bool = False
    default: str | int | None = None
    place: str = "query"

    def openapi(self) -> dict[str, Any]:
        """The parameter object."""
        schema: dict[str, Any] = {"type": self.type}
        if self.default is not None:
            schema["default"] = self.default
        required = self.required or self.place == "path"
        return {
            "name": self.name,
            "in": self.place,
            "required": required,
            "description": self.description,
            "schema": schema,
        }


@dataclass(frozen=True, slots=True)
class RouteDoc:
    """What a route is for, what it takes and what it answers with 200; one that takes a `body` is asked with POST."""

    summary: str
    response: type[BaseModel]
    parameters: tuple[Parameter, ...] = ()
    description: str = ""
    tag: str = "windvane"
    body: type[BaseModel] | None = None

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"


class ErrorDetail(BaseModel):
    """What went wrong: `kind` is stable, `message` is for people."""

    kind: str
    message: str


class ErrorBody(BaseModel):
    """The answer of every route of our own that failed."""

    error: ErrorDetail


class DocumentedRoute(Route):
    """A route that carries its description."""

    def __init__(self, path: str, endpoint: Endpoint, doc: RouteDoc) -> None:
        super().__init__(path, endpoint, methods=[doc.method])
        self.doc = doc


def documented(path: str, endpoint: Endpoint, doc: RouteDoc) -> DocumentedRoute:
    """A route with its description."""
    return DocumentedRoute(path, endpoint, doc)


def operations(routes: Iterable[BaseRoute]) -> tuple[dict[str, Any], dict[str, Any]]:
    """OpenAPI's `paths` and `components.schemas` of the documented routes among these."""
    described = [route for route in routes if isinstance(route, DocumentedRoute)]
    models: list[type[BaseModel]] = list(dict.fromkeys([*(route.doc.response for route in described), ErrorBody]))
    bodies = dict.fromkeys(route.doc.body for route in described if route.doc.body is not None)
    references, schemas = models_json_schema(
        [*((model, "serialization") for model in models), *((model, "validation") for model in bodies)],
        ref_template="#/components/schemas/{model}",
    )
    failed = _content("What was wrong, and where.", references[ErrorBody, "serialization"])
    paths: dict[str, Any] = {}
    for route in described:
        doc = route.doc
        operation: dict[str, Any] = {
            "summary": doc.summary,
            "operationId": route.path.removeprefix("/api/").replace("/", "_").replace("-", "_"),
            "tags": [doc.tag],
            "parameters": [parameter.openapi() for parameter in doc.parameters],
            "responses": {
                "200": _content(doc.summary, references[doc.response, "serialization"]),
                "default": failed,
            },
        }
        if doc.description:
            operation["description"] = doc.description
        if doc.body is not None:
            operation["requestBody"] = {"required": True, **_content("", references[doc.body, "validation"])}
        paths[route.path] = {doc.method.lower(): operation}
    return paths, schemas.get("$defs", {})


def _content(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
