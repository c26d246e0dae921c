"""What keeps pages of other origins from changing anything: they could send requests, with the reader's browser."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.requests import Request

from windvane.kit.errors import BadInputError

_JSON = "application/json"


def same_origin(request: Request, external_url: str = "") -> None:
    """`BadInputError` for a request that a page of another origin may have made.

    The body must be JSON, which such a page cannot send unasked. Where the browser says from where it comes, it
    must be here. The host must be an address, localhost or that of `external_url`: a name that somebody else
    owns could have been made to lead here.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _JSON:
        raise BadInputError(f"content type {kind!r}: expected {_JSON}")
    host = request.headers.get("host", "")
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        raise BadInputError(f"a page of {origin} may not ask this")
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise BadInputError("a page of another site may not ask this")
    name = urlsplit(f"//{host}").hostname or ""
    if not (_is_own(name) or name == (urlsplit(external_url).hostname or "")):
        raise BadInputError(f"host {name!r} is not known to be this server: name it with --external-url")


def _is_own(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
