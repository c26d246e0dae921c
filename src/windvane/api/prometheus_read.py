"""Prometheus remote read at `/api/v1/read`: raw samples of series, as messages or as streamed chunks.

Samples of all queries are read before the first byte is answered, so an error is still a status; the
stream's frames are then made one by one. External labels are added to series, and matchers that ask
for them are met by that, as a Prometheus does it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import cramjam
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from windvane.api.errors import status_of
from windvane.kit.errors import BadInputError, WindvaneError
from windvane.promql.errors import QueryLimitError
from windvane.promql.raw import RawSeries, raw_samples
from windvane.promql.regex import problem
from windvane.promql.syntax import Matcher, MatchOp
from windvane.signals.remote_read.histograms import Histogram
from windvane.signals.remote_read.request import LabelMatcher, ReadQuery, ReadRequest, ResponseType, decode
from windvane.signals.remote_read.response import Series, chunked_response, samples_response
from windvane.store.api import Engine, Limits

_MAX_BODY = 4 << 20
_MAX_DECODED = 32 << 20
_KINDS = (MatchOp.EQUAL, MatchOp.NOT_EQUAL, MatchOp.REGEX, MatchOp.NOT_REGEX)
_SAMPLES = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
_CHUNKS = {"Content-Type": "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"}

ExternalLabels = Callable[[], Mapping[str, str]]


def no_labels() -> Mapping[str, str]:
    """No external labels."""
    return {}


def routes(
    engine: Engine, external_labels: ExternalLabels = no_labels, most_samples: int = 50_000_000, seconds: float = 120.0
) -> list[BaseRoute]:
    """`POST /api/v1/read` of one store; one request may read `most_samples` and take `seconds`."""

    def answer(body: bytes) -> Response:
        try:
            request = _decoded(body)
            results = _Reading(engine, external_labels(), most_samples, seconds).results(request)
            if request.accepted[0] is ResponseType.STREAMED_XOR_CHUNKS:
                return StreamingResponse(chunked_response(results), headers=_CHUNKS)
            return Response(bytes(cramjam.snappy.compress_raw(samples_response(results))), headers=_SAMPLES)
        except WindvaneError as error:
            return PlainTextResponse(f"{error.message}\n", _status(error))

    async def read(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_BODY:
                return PlainTextResponse(f"request body is larger than {_MAX_BODY} bytes\n", 400)
        return await run_in_threadpool(answer, bytes(body))

    return [Route("/api/v1/read", read, methods=["POST"])]


def _status(error: WindvaneError) -> int:
    return 400 if isinstance(error, BadInputError | QueryLimitError) else status_of(error)


def _decoded(body: bytes) -> ReadRequest:
    try:
        if not body or cramjam.snappy.decompress_raw_len(body) > _MAX_DECODED:
            raise BadInputError("snappy: corrupt input")
        return decode(bytes(cramjam.snappy.decompress_raw(body)))
    except cramjam.DecompressionError:
        raise BadInputError("snappy: corrupt input") from None


class _Reading:
    """The reads of one request, under the bounds of one query."""

    def __init__(self, engine: Engine, external: Mapping[str, str], most: int, seconds: float) -> None:
        self._engine = engine
        self._external = external
        self._deadline = time.monotonic() + seconds
        self._most = self._room = most

    def results(self, request: ReadRequest) -> list[Series]:
        """The series of every query."""
        return [self._result(query) for query in request.queries]

    def _result(self, query: ReadQuery) -> Series:
        limits = Limits(max(0.001, self._deadline - time.monotonic()), rows=self._room + 1)
        matchers = [_matcher(one) for one in query.matchers if not self._met(one)]
        raw = raw_samples(self._engine, matchers, query.start, query.end, limits)
        self._room -= len(raw.times)
        if self._room < 0:
            raise QueryLimitError(f"exceeded sample limit ({self._most})")
        return Series(self._labelled(raw.labels), raw.offsets, raw.times, raw.values, _histograms(raw))

    def _met(self, matcher: LabelMatcher) -> bool:
        """Whether a matcher asks for an external label, which is not stored."""
        return matcher.kind == 0 and bool(matcher.value) and self._external.get(matcher.name) == matcher.value

    def _labelled(self, sets: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
        """Label sets in order of names, with external labels that a series has not itself."""
        return [dict(sorted({**self._external, **labels}.items())) for labels in sets]


def _histograms(raw: RawSeries) -> list[list[tuple[int, Histogram | None]]]:
    if raw.native is None:
        return []
    native = raw.native
    return [
        list(zip(native.times_of(row).tolist(), native.histograms_of(row).tolist(), strict=True))
        for row in range(len(raw.labels))
    ]


def _matcher(one: LabelMatcher) -> Matcher:
    kind = _KINDS[one.kind]
    if kind in (MatchOp.REGEX, MatchOp.NOT_REGEX) and (wrong := problem(one.value)):
        raise BadInputError(f"error parsing regexp: {wrong}")
    return Matcher(one.name, kind, one.value)
