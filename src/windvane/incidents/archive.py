"""Incidents in the store: what they are, the course of their signals, and what the judge has learnt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import orjson

from windvane.analytics.baselines import Scope
from windvane.incidents.recent import Minute
from windvane.incidents.values import Course, Incident, from_json, to_json
from windvane.kit.errors import BadInputError, NotFoundError
from windvane.store import native
from windvane.store.api import Engine, PayloadInsert

MOST = 1_000
"""Incidents of one list."""
_SHORTEST = 4
_PIECE = 1 << 20
_NEWEST = "SELECT argMax(Body, Written) AS Body FROM incidents{where} GROUP BY Id{rest}"
_ENDED = "argMax(Ended, Written)"
_GOES_ON = f"toUnixTimestamp({_ENDED}) = 0"
_LISTED = "argMax(Hidden, Written) = 0"
_COURSES = """SELECT Kind, Namespace, Service, Detail, Signal, toUnixTimestamp(At) AS Second,
 any(Seen), any(Expected), any(Low), any(High) FROM incident_courses WHERE Id = {id:String}
 GROUP BY Kind, Namespace, Service, Detail, Signal, Second ORDER BY Kind, Namespace, Service, Detail, Signal, Second"""

_PIECES = (
    "SELECT hex(Learnt) AS Hex FROM incident_judge WHERE Slot = {slot:UInt8} AND Written = {at:UInt64} ORDER BY Piece"
)


class Archive:
    """The incidents of one store. Every method blocks; errors are the store's, and those that are named."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._slot = self._written = 0

    def write(self, incidents: Sequence[Incident], now_ns: int) -> None:
        """Store incidents as they are now."""
        if incidents:
            self._written = max(now_ns, self._written + 1)  # the last word counts, even within one tick of a clock
            self._engine.insert_payload(INCIDENTS, native.block(_columns(incidents, self._written), len(incidents)))

    def going_on(self) -> list[Incident]:
        """Those that are not over."""
        return self._found("", f" HAVING {_LISTED} AND {_GOES_ON}", {})

    def ended_since(self, since: int) -> list[Incident]:
        """Those that ended at a time (Unix seconds) or later."""
        over = f"NOT {_GOES_ON} AND toUnixTimestamp({_ENDED}) >= {{since:Int64}}"
        return self._found("", f" HAVING {_LISTED} AND {over}", {"since": since})

    def spoken_of(self, since: int) -> list[Incident]:
        """Those noticed since a time of which people said something."""
        where = " WHERE Opened >= fromUnixTimestamp64Milli({since:Int64})"
        return self._found(where, " HAVING argMax(Verdict, Written) != ''", {"since": since * 1_000})

    def incidents(
        self, start: int, end: int, limit: int, service: str = "", open_: bool | None = None
    ) -> list[Incident]:
        """The newest that went on at any time of [start, end] (Unix seconds): open ones first, then by start.

        `service` is NAME or NAME.NAMESPACE of any service that has a part in it.
        """
        if not 1 <= limit <= MOST:
            raise BadInputError(f"limit must be between 1 and {MOST}")
        having = [
            _LISTED,
            "toUnixTimestamp(argMax(Started, Written)) <= {end:Int64}",
            f"({_GOES_ON} OR toUnixTimestamp({_ENDED}) >= {{start:Int64}})",
        ]
        if service:
            having.append("arrayExists(s -> s = {service:String} OR startsWith(s, {dotted:String}),"
                          " argMax(Services, Written))")  # fmt: skip
        if open_ is not None:
            having.append(_GOES_ON if open_ else f"NOT {_GOES_ON}")
        order = f" ORDER BY {_GOES_ON} DESC, argMax(Started, Written) DESC, Id LIMIT {limit}"
        params = {"start": start, "end": end, "service": service, "dotted": f"{service}."}
        return self._found("", f" HAVING {' AND '.join(having)}{order}", params)

    def incident(self, name: str) -> Incident:
        """One by its id, or the beginning of it that only it has; `NotFoundError`."""
        if len(name) < _SHORTEST or not name.isalnum():
            raise BadInputError(f"{name!r} is no incident: its id, or {_SHORTEST} characters of it or more")
        found = self._found(" WHERE startsWith(Id, {id:String})", " LIMIT 3", {"id": name})
        exact = [one for one in found if one.id == name] or found
        if not exact:
            raise NotFoundError(f"there is no incident {name}, or it is no longer kept")
        if len(exact) > 1:
            raise BadInputError(f"{name} may be {' or '.join(sorted(one.id for one in exact))}")
        return exact[0]

    def write_courses(self, rows: Sequence[tuple[str, Minute]]) -> None:
        """Store minutes of signals of incidents, by their ids; one that is stored again counts once."""
        if rows:
            self._engine.insert_payload(COURSES, native.block(_course_columns(rows), len(rows)))

    def courses(self, name: str) -> list[Course]:
        """The course of every signal of an incident, by place."""
        rows = self._engine.query(_COURSES, {"id": name}).itertuples(index=False, name=None)
        return [_course(key, list(minutes)) for key, minutes in groupby(rows, key=lambda row: row[:5])]

    def keep_learnt(self, learnt: bytes, now_ns: int) -> None:
        """Store what the judge has learnt, in place of what was stored before the last time."""
        slot = 1 - self._slot
        self._engine.command(f"ALTER TABLE incident_judge DROP PARTITION {slot}")
        pieces = [learnt[at : at + _PIECE] for at in range(0, len(learnt), _PIECE)] or [b""]
        self._engine.insert_payload(LEARNT, native.block(_learnt_columns(slot, pieces, now_ns), len(pieces)))
        self._slot = slot

    def learnt(self) -> bytes | None:
        """What the judge had learnt when that was stored last; None if nothing whole is there."""
        heads = self._engine.query(
            "SELECT Slot, Written FROM incident_judge GROUP BY Slot, Written HAVING count() = any(Pieces)"
            " ORDER BY Written DESC LIMIT 1"
        )
        if heads.empty:
            return None
        self._slot, written = int(heads["Slot"][0]), int(heads["Written"][0])
        pieces = self._engine.query(_PIECES, {"slot": self._slot, "at": written})["Hex"].tolist()
        return b"".join(bytes.fromhex(one) for one in pieces)

    def _found(self, where: str, rest: str, params: dict[str, Any]) -> list[Incident]:
        bodies = self._engine.query(_NEWEST.format(where=where, rest=rest), params)["Body"].tolist()
        return [from_json(orjson.loads(body)) for body in bodies]


def _columns(rows: Sequence[Incident], now_ns: int) -> list[native.Column]:
    def moments(name: str, seconds: Iterable[int]) -> native.Column:
        return native.moments(name, 1_000 * np.fromiter(seconds, np.int64))

    services = [[Scope("service", *node).name for node in one.services] for one in rows]
    return [
        native.texts("Id", (one.id for one in rows)),
        native.numbers("Written", np.full(len(rows), now_ns, np.uint64)),
        moments("Opened", (one.opened for one in rows)),
        moments("Started", (one.start for one in rows)),
        moments("Ended", (one.end or 0 for one in rows)),
        native.numbers("Hidden", np.fromiter((bool(one.joined) for one in rows), np.uint8)),
        native.texts("Verdict", (one.feedback.verdict if one.feedback else "" for one in rows)),
        native.text_lists("Services", services),
        native.texts("Body", (orjson.dumps(to_json(one), option=orjson.OPT_SERIALIZE_NUMPY) for one in rows)),
    ]


def _course_columns(rows: Sequence[tuple[str, Minute]]) -> list[native.Column]:
    places = [one.scope for _, one in rows]
    figures = np.array([one.figures for _, one in rows], np.float32).reshape(len(rows), 4)
    return [
        native.texts("Id", (name for name, _ in rows)),
        native.texts("Kind", (one.kind for one in places)),
        native.texts("Namespace", (one.namespace for one in places)),
        native.texts("Service", (one.service for one in places)),
        native.texts("Detail", (one.detail for one in places)),
        native.texts("Signal", (one.signal for _, one in rows)),
        native.moments("At", 1_000 * np.fromiter((one.at for _, one in rows), np.int64)),
        *(native.numbers(name, figures[:, at]) for at, name in enumerate(("Seen", "Expected", "Low", "High"))),
    ]


def _course(key: Sequence[Any], rows: Sequence[Any]) -> Course:
    *scope, signal = key
    figures = [[float(row[at]) for row in rows] for at in range(6, 10)]
    return Course(Scope(*scope), signal, [int(row[5]) for row in rows], *figures)


def _learnt_columns(slot: int, pieces: Sequence[bytes], now_ns: int) -> list[native.Column]:
    size = len(pieces)
    return [
        native.numbers("Slot", np.full(size, slot, np.uint8)),
        native.numbers("Written", np.full(size, now_ns, np.uint64)),
        native.numbers("Piece", np.arange(size, dtype=np.uint32)),
        native.numbers("Pieces", np.full(size, size, np.uint32)),
        native.texts("Learnt", pieces),
    ]


INCIDENTS: PayloadInsert = native.insert_of("incidents", _columns((), 0))
COURSES: PayloadInsert = native.insert_of("incident_courses", _course_columns(()))
LEARNT: PayloadInsert = native.insert_of("incident_judge", _learnt_columns(0, (), 0))
