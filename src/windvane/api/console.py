"""Serves the built console at `/`.

The console is a single page: `index.html` answers for every path that names no file, so that a
deep link works. Files under `assets/` carry a hash of their content in their name and may be kept
for ever; everything else is asked again each time, by its ETag. Nothing is loaded from another
origin, and the Content-Security-Policy holds the page to that.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Route

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)

SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}

FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"

# Paths of the HTTP API: an unknown one is an API error, never the console's page.
API_PREFIXES = ("api/", "v1/", "-/", "tempo/", "jaeger/api/")

NOT_BUILT = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Windvane</title></head>
<body>
<h1>The console is not built</h1>
<p>Windvane is running and its API answers, but this installation has no console in it.
In a source tree, build it with:</p>
<pre>cd ui
npm ci
npm run build</pre>
<p>Node.js 20.19 or newer is needed. A wheel from <code>pip install</code> or <code>python -m build</code>
contains the console. 本次安装不含控制台：请在源码的 ui 目录运行上面的命令。</p>
<p>API: <a href="/api/openapi.json">/api/openapi.json</a></p>
</body>
</html>
"""


def built_console() -> Path:
    """Where the build puts the console: `_ui` inside the package."""
    return Path(str(files("windvane"))) / "_ui"


def routes(directory: Path | None = None) -> list[BaseRoute]:
    """The route for every path that no other route took: mount it last.

    `directory` holds `index.html` and `assets/`; by default it is the one in the package. Where
    there is no `index.html`, `/` answers 503 with a page that says how to build it.
    """
    root = (directory or built_console()).resolve()

    def console(request: Request) -> Response:
        path = request.path_params["path"]
        if path.startswith(API_PREFIXES):
            raise HTTPException(404)
        return answer(root, path)

    return [Route("/{path:path}", console, methods=["GET", "HEAD"], name="console", include_in_schema=False)]


def answer(root: Path, path: str) -> Response:
    """The file that `path` names, else the page; a missing asset is 404, for a page in its place would mislead."""
    index = root / "index.html"
    if not index.is_file():
        return HTMLResponse(NOT_BUILT, status_code=503, headers={**SECURITY_HEADERS, "Cache-Control": "no-store"})
    file = (root / path).resolve()
    if path and file.is_relative_to(root) and file.is_file():
        keep = FOR_EVER if file.parent == root / "assets" else ASK_AGAIN
        return FileResponse(file, headers={**SECURITY_HEADERS, "Cache-Control": keep})
    if path.startswith("assets/"):
        raise HTTPException(404)
    return FileResponse(index, headers={**SECURITY_HEADERS, "Cache-Control": ASK_AGAIN})
