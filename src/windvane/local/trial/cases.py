"""Tests of a configuration as YAML: requests, and what must become of them.

```yaml
apiVersion: windvane.dev/v1
kind: RequestTests
tests:
  - name: one in five goes to v2
    from: productpage-v1.default        # who asks; default as `windvane try`
    request: GET http://reviews:9080/reviews/1
    headers: {end-user: jason}
    jwt: {sub: alice}                   # claims of a trusted token
    certificate: default/alice          # the Secret whose certificate an https client shows
    times: 200
    expect:
      status: 200                       # or a list
      workload: {reviews-v1.default: 80%, reviews-v2.default: 20%}   # or one name, or a list
      route: canary
      path: /new                        # as the application got it; also authority
      requestHeaders: {x-env: canary, secret: null}                  # null: absent
      responseHeaders: {x-served: v1}
      mirroredTo: reviews-v2.default
      refusedBy: AuthorizationPolicy default/readers                 # a part of what is told; also allowedBy
      identity: spiffe://cluster.local/ns/default/sa/web             # whom mutual TLS proved; "" for plaintext
      audited: true                     # whether a policy with action AUDIT matched
      grpcStatus: PERMISSION_DENIED     # or 7, or a list; of `grpc://cart:7070/shop.Cart/Add`
      answered: true                    # whether there was an answer; of `tcp://mongo:27017`
      flags: DI,FI
      atLeast: 100ms                    # how long the answer took at least
```
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from windvane.kit.errors import BadInputError
from windvane.kit.shares import parse_share
from windvane.kit.values import parse_duration
from windvane.local.trial.asking import Asked, parse_request
from windvane.mesh.files import expand, read_text
from windvane.mesh.yaml_source import Document, read_documents

CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
"""gRPC's status codes, each at its number."""
API_VERSION, KIND = "windvane.dev/v1", "RequestTests"


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple | dict) or value is None else [value]


def _share(value: Any) -> Any:
    try:
        return parse_share(value) if isinstance(value, str) else value
    except BadInputError as error:
        raise ValueError(error.message) from None


def _shares(value: Any) -> Any:
    listed = _listed(value)
    return {name: _share(share) for name, share in listed.items()} if isinstance(listed, dict) else listed


def _seconds(value: Any) -> Any:
    try:
        return parse_duration(value) if isinstance(value, str) else value
    except BadInputError as error:
        raise ValueError(error.message) from None


def _grpc_codes(value: Any) -> Any:
    """Names or numbers as the numbers that are sent."""
    return None if value is None else [_grpc_code(each) for each in _listed(value)]


def _grpc_code(value: Any) -> str:
    if isinstance(value, str) and value in CODES:
        return str(CODES.index(value))
    if isinstance(value, int) and 0 <= value < len(CODES):
        return str(value)
    raise ValueError(f"not a status of gRPC: {value!r} (expected for example UNAVAILABLE or 14)")


Names = Annotated[tuple[str, ...] | None, BeforeValidator(_listed)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True)


class Expectation(_Strict):
    """What must be true of every answer; what is not given is not looked at."""

    status: Annotated[tuple[int, ...] | None, BeforeValidator(_listed)] = None
    workload: Annotated[tuple[str, ...] | dict[str, float] | None, BeforeValidator(_shares)] = None
    route: Names = None
    path: str | None = None
    authority: str | None = None
    request_headers: dict[str, str | None] = Field(default_factory=dict)
    response_headers: dict[str, str | None] = Field(default_factory=dict)
    mirrored_to: Names = None
    refused_by: str | None = None
    audited: bool | None = None
    identity: str | None = None
    allowed_by: str | None = None
    grpc_status: Annotated[tuple[str, ...] | None, BeforeValidator(_grpc_codes)] = None
    answered: bool | None = None
    flags: str | None = None
    at_least: Annotated[float | None, BeforeValidator(_seconds)] = None


class Case(_Strict):
    """One test: a request sent `times` times, and what must become of it."""

    name: str = ""
    from_: str = Field(default="", alias="from")
    request: str
    headers: dict[str, str] = Field(default_factory=dict)
    body: str = ""
    jwt: dict[str, Any] | None = None
    certificate: str = ""
    times: Annotated[int, Field(ge=1, le=100_000)] = 1
    expect: Expectation

    def asked(self) -> Asked:
        """The request; `BadInputError` when it is none."""
        headers = [f"{name}: {value}" for name, value in self.headers.items()]
        return replace(parse_request(self.request, headers, self.body.encode()), certificate=self.certificate)


class _Suite(_Strict):
    api_version: str
    kind: str
    metadata: Any = None
    tests: tuple[Case, ...] = ()


@dataclass(frozen=True, slots=True)
class Placed:
    """A test, and where it stands."""

    case: Case
    file: str
    line: int

    @property
    def title(self) -> str:
        """What it is called in reports."""
        return self.case.name or self.case.request


def read_cases(paths: Sequence[str | Path]) -> list[Placed]:
    """Every test of files and directories; `BadInputError` names the file, line and field of what is wrong."""
    found: list[Placed] = []
    problems: list[str] = []
    for path in paths:
        for file in expand(path):
            documents, _ = read_documents(read_text(file), str(file))
            for document in documents:
                if _is_suite(document):
                    _read(document, found, problems)
    if problems:
        raise BadInputError("tests that cannot be read:\n" + "\n".join(problems))
    return found


def _is_suite(document: Document) -> bool:
    value = document.value
    return isinstance(value, Mapping) and value.get("apiVersion") == API_VERSION and value.get("kind") == KIND


def _read(document: Document, found: list[Placed], problems: list[str]) -> None:
    try:
        suite = _Suite.model_validate(document.value)
    except ValidationError as error:
        problems += [f"  {line}" for line in _told(document, error)]
        return
    for index, case in enumerate(suite.tests):
        line = document.line_of(("tests", index))
        try:
            case.asked()
        except BadInputError as error:
            problems.append(f"  {document.file}:{line}: {error.message}")
        found.append(Placed(case, document.file, line))


def _told(document: Document, error: ValidationError) -> Iterator[str]:
    for detail in error.errors(include_url=False):
        path = tuple(part for part in detail["loc"] if not str(part).startswith(("tuple[", "dict[", "function-")))
        place = ".".join(map(str, path))
        yield f"{document.file}:{document.line_of(path)}: {place}: {detail['msg']}"
