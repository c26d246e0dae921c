"""One line, of either table, as every answer has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from windvane.tracing.access_logs import as_entries
from windvane.tracing.logs.places import Place
from windvane.tracing.logs.sources import SOURCES, Kind, Source, severity_word


@dataclass(slots=True)
class Line:
    """A line. `severity` is 0 to 24; `entry` are the columns of an access-log entry in snake_case, None for others."""

    place: Place
    severity: int
    severity_text: str
    service: str
    body: str
    trace_id: str
    span_id: str
    request_id: str
    event: str
    scope: str
    attributes: Mapping[str, str]
    resource: Mapping[str, str]
    entry: Mapping[str, Any] | None = None
    matches: tuple[bool, ...] = field(default=())

    @property
    def kind(self) -> Kind:
        return SOURCES[self.place.rank].kind

    @property
    def severity_word(self) -> str:
        return severity_word(self.severity)


PLACE = "toUnixTimestamp64Nano(Timestamp) AS PlaceTime, _block_number AS PlaceBlock, _block_offset AS PlaceOffset"
_LOG_COLUMNS = (
    "SeverityText, ServiceName, Body, TraceId, SpanId, EventName, ScopeName, LogAttributes, ResourceAttributes"
)
REQUEST_ID_ATTRIBUTES = ("request_id", "x-request-id", "http.request_id", "request.id", "guid:x-request-id")
_LOG_REQUEST = f"arrayFirst(v -> v != '', [{', '.join(f'LogAttributes[{n!r}]' for n in REQUEST_ID_ATTRIBUTES)}])"


def columns(source: Source) -> str:
    """The SQL columns that `lines` reads."""
    common = f"{PLACE}, {source.severity} AS LineSeverity"
    if source.kind == "log":
        return f"{common}, {_LOG_REQUEST} AS LineRequest, {_LOG_COLUMNS}"
    return f"{common}, {source.service} AS LineService, {source.body} AS LineBody, * EXCEPT Commit"


def lines(source: Source, frame: pd.DataFrame, flags: Iterable[str] = ()) -> list[Line]:
    """The lines of a result of `columns`; `flags` are further columns of truth, kept as `matches`."""
    names = list(flags)
    marks = list(zip(*(frame[name].astype(bool).tolist() for name in names), strict=True)) or [()] * len(frame)
    places = [
        Place(int(time), source.rank, int(block), int(offset))
        for time, block, offset in zip(frame["PlaceTime"], frame["PlaceBlock"], frame["PlaceOffset"], strict=True)
    ]
    made = _logs(frame, places) if source.kind == "log" else _entries(frame.drop(columns=names), places)
    for line, matched in zip(made, marks, strict=True):
        line.matches = matched
    return made


def _logs(frame: pd.DataFrame, places: list[Place]) -> list[Line]:
    names = ("LineSeverity", "LineRequest", *_LOG_COLUMNS.split(", "))
    rows = zip(places, *(frame[name].tolist() for name in names), strict=True)
    return [
        Line(place, int(severity), text, service, body, trace, span, request, event, scope, attributes, resource)
        for place, severity, request, text, service, body, trace, span, event, scope, attributes, resource in rows
    ]


def _entries(frame: pd.DataFrame, places: list[Place]) -> list[Line]:
    extra = ["PlaceTime", "PlaceBlock", "PlaceOffset", "LineSeverity", "LineService", "LineBody"]
    rows = zip(
        places,
        frame["LineSeverity"].tolist(),
        frame["LineService"].tolist(),
        frame["LineBody"].tolist(),
        as_entries(frame.drop(columns=extra)),
        strict=True,
    )
    return [
        Line(
            place, int(severity), "", service, body, entry["trace_id"], "", entry["request_id"], "", "",
            entry.pop("tags"), {}, entry,
        )
        for place, severity, service, body, entry in rows
    ]  # fmt: skip
