"""`GET /api/windvane/v1/logs/tail`: lines as they are stored, as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from windvane.api.windvane.docs import Parameter, RouteDoc, documented
from windvane.api.windvane.logs import KIND, Q
from windvane.api.windvane.logs_json import line_json
from windvane.api.windvane.logs_models import TailEvents
from windvane.api.windvane.telemetry import PREFIX
from windvane.tracing.filters.compile import condition
from windvane.tracing.filters.parse import parse
from windvane.tracing.filters.sql import Conditions
from windvane.tracing.logs.sources import chosen
from windvane.tracing.logs.tail import Tail, Told, position_marks

_TAIL = RouteDoc(
    "Log lines as they are stored",
    TailEvents,
    (Q, KIND, Parameter("after", "The `id` of an event to go on behind; the header Last-Event-ID says the same.")),
    "Server-sent events (`text/event-stream`): `line` with a LogLine for every matching line stored from now on, in "
    "the order of arrival and whatever its time; `skipped` where a client that reads slowly lost lines. A client that "
    "connects again with the last id misses none and gets none twice.",
)


def routes(tail: Tail) -> list[BaseRoute]:
    """The route over one store's tail."""

    async def follow(request: Request) -> Response:
        params = request.query_params
        where, sources = parse(params.get("q", "")), chosen(params.get("kind", "all"))
        after = request.headers.get("last-event-id", "") or params.get("after", "")
        position_marks(after)
        for source in sources:  # what is wrong is answered as an error, before the stream begins
            condition(where, source.fields, Conditions())
        # From before the answer begins: a client that sees it begin misses nothing that is stored from then on.
        after = after or await tail.position()

        async def events() -> AsyncIterator[bytes]:
            yield b": following\nretry: 1000\n\n"
            async with aclosing(tail.follow(where, sources, after)) as lines:
                async for told in lines:
                    yield b": waiting\n\n" if told is None else _event(told)

        return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    return [documented(f"{PREFIX}/logs/tail", follow, _TAIL)]


def _event(told: Told) -> bytes:
    if told.line is None:
        name, data = b"skipped", {"lines": told.skipped}
    else:
        name, data = b"line", line_json(told.line, {})
    return b"event: %s\nid: %s\ndata: %s\n\n" % (name, told.position.encode(), orjson.dumps(data))
