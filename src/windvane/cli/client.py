"""Windvane's own API, asked by commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
import httpx

from windvane.kit.errors import (
    BadInputError,
    ConflictError,
    NotFoundError,
    OverloadedError,
    UnavailableError,
    WindvaneError,
)

Command = TypeVar("Command", bound=Callable[..., Any])
_ERRORS: dict[str, type[WindvaneError]] = {
    "bad_input": BadInputError, "not_found": NotFoundError, "conflict": ConflictError,
    "overloaded": OverloadedError, "unavailable": UnavailableError,
}  # fmt: skip


def tenant_option(command: Command) -> Command:
    """Add `--tenant`."""
    return click.option("--tenant", envvar="WINDVANE_TENANT", help="The tenant to ask, where the server has tenants.")(
        command
    )


def server_option(command: Command) -> Command:
    """Add `--server` and `--tenant`."""
    for option in (
        tenant_option,
        click.option("--server", default="http://127.0.0.1:9900", show_default=True, envvar="WINDVANE_SERVER",
                     help="Base URL of the server."),
    ):  # fmt: skip
        command = option(command)
    return command


def url_of(server: str, path: str) -> str:
    """The address of one of Windvane's own routes."""
    return f"{server.rstrip('/')}/api/windvane/v1/{path}"


def tenant_headers(tenant: str | None) -> dict[str, str]:
    """The headers that name a tenant."""
    return {"X-Scope-OrgID": tenant} if tenant else {}


def answer(server: str, tenant: str | None, path: str, **request: Any) -> dict[str, Any]:
    """What the server answers; POST where there is content. Its errors are raised as they are of their kind."""
    url = url_of(server, path)
    headers = tenant_headers(tenant) | request.pop("headers", {})
    try:
        response = httpx.request(
            "POST" if "content" in request else "GET", url, headers=headers, timeout=150, **request
        )
        found: dict[str, Any] = response.json()
    except httpx.HTTPError as error:
        raise UnavailableError(f"no answer from {url}: {error}") from error
    except ValueError as error:
        raise UnavailableError(f"{url} did not answer in JSON; is it a Windvane server?") from error
    if response.is_error:
        raise error_of(found, response.text)
    return found


def error_of(found: dict[str, Any], text: str) -> WindvaneError:
    """The error that an answer tells of."""
    detail = found.get("error", {})
    detail = detail if isinstance(detail, dict) else {"message": str(detail)}
    return _ERRORS.get(detail.get("kind", ""), WindvaneError)(str(detail.get("message", text)))
