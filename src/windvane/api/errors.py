"""The one table from error kinds to HTTP, and the shape of errors on Windvane's own routes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from windvane.kit.errors import OverloadedError, WindvaneError

HTTP_STATUS = {
    "bad_input": 400,
    "not_found": 404,
    "conflict": 409,
    "limit": 422,
    "overloaded": 503,
    "unavailable": 503,
    "internal": 500,
}


def status_of(error: WindvaneError) -> int:
    """The HTTP status for an error's kind."""
    return HTTP_STATUS[error.kind]


def retry_headers(error: WindvaneError) -> dict[str, str]:
    """`Retry-After` for errors that pass by themselves."""
    return {"Retry-After": str(max(1, round(error.retry_after)))} if isinstance(error, OverloadedError) else {}


def error_response(_: Request, error: Exception) -> Response:
    """`{"error": {"kind": …, "message": …}}`: every JSON error of Windvane's own routes."""
    assert isinstance(error, WindvaneError)
    body = {"error": {"kind": error.kind, "message": error.message}}
    return JSONResponse(body, status_code=status_of(error), headers=retry_headers(error))
