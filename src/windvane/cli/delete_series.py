"""`windvane delete-series`: samples deleted from a running server, through Prometheus's admin API."""

from __future__ import annotations

from typing import Any

import click
import httpx

from windvane.kit.errors import BadInputError, UnavailableError, WindvaneError


@click.command("delete-series")
@click.argument("selectors", nargs=-1, required=True, metavar="SELECTOR...")
@click.option("--start", help="First time to delete, Unix seconds or RFC 3339 (default: the beginning).")
@click.option("--end", help="Last time to delete (default: the end).")
@click.option("--server", default="http://127.0.0.1:9900", show_default=True, envvar="WINDVANE_SERVER",
              help="Base URL of the server; it must have the admin API enabled.")  # fmt: skip
@click.option("--tenant", help="Tenant whose series are deleted (header X-Scope-OrgID).")
@click.option("--yes", is_flag=True, help="Do not ask first.")
def command(selectors: tuple[str, ...], server: str, tenant: str | None, yes: bool, **bounds: str | None) -> None:
    """Delete samples, histograms and exemplars of all series that match any SELECTOR, such as 'up{job="old"}'."""
    times = {name: value for name, value in bounds.items() if value is not None}
    count = len(_request(server, "series", tenant, {"match[]": list(selectors), **times}))
    if not count:
        click.echo("no series match")
        return
    if not yes:
        click.confirm(f"Delete samples of {count} series?", abort=True)
    _request(server, "admin/tsdb/delete_series", tenant, {"match[]": list(selectors), **times})
    click.echo(f"deleted samples of {count} series")


def _request(server: str, path: str, tenant: str | None, form: dict[str, Any]) -> list[Any]:
    """The data of an answer that lists something; nothing for one without content."""
    url = f"{server.rstrip('/')}/api/v1/{path}"
    headers = {"X-Scope-OrgID": tenant} if tenant else {}
    try:
        response = httpx.post(url, data=form, headers=headers, timeout=900)
        answer: dict[str, Any] = response.json() if response.content else {"status": "success", "data": []}
    except httpx.HTTPError as error:
        raise UnavailableError(f"no answer from {url}: {error}") from error
    except ValueError as error:
        raise UnavailableError(f"{url} did not answer in JSON; is it a Windvane server?") from error
    if answer.get("status") != "success":
        wrong = BadInputError if answer.get("errorType") == "bad_data" else WindvaneError
        raise wrong(str(answer.get("error", response.text)))
    return list(answer["data"])
