"""The history in the store: what is written of versions, and every question about them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from windvane.history.versions import Answer, Change, Resource, Version, changes
from windvane.kit.errors import BadInputError, NotFoundError
from windvane.store import native
from windvane.store.api import Engine, PayloadInsert

MOST = 1_000
"""Versions of one list."""
_SHORTEST_HASH = 4
_VERSIONS = "SELECT Number, Hash, toUnixTimestamp64Milli(Live) AS Ms, Services, Workloads FROM config_versions"
_CHANGES = "SELECT Number, Change, Kind, Namespace, Name, File, Line, Digest{texts} FROM config_changes"
_ANSWERS = (
    "SELECT Number, Node, Workload, Namespace, Type, Reason, toUnixTimestamp64Milli(Answered) AS Ms"
    " FROM config_answers WHERE Number IN {numbers:Array(UInt32)} ORDER BY Number, Answered, Node, Type"
)
_NAMES_IT = "Name = {service:String} OR match(Before, {word:String}) OR match(After, {word:String})"
_STATE = """SELECT Kind, Namespace, Name, argMax(File, Number) AS AtFile, argMax(Line, Number) AS AtLine,
 argMax(Digest, Number) AS Means, argMax(After, Number) AS Text
 FROM config_changes WHERE Number <= {number:UInt32}
 GROUP BY Kind, Namespace, Name HAVING argMax(Change, Number) != 'removed' ORDER BY Kind, Namespace, Name"""


class Book:
    """The versions of one store. Every method blocks; errors are the store's, and those that are named."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def write(self, version: Version) -> None:
        """Store a version with its changes; its answers are written as they come."""
        self._engine.insert_payload(CHANGES, _changes_block(version.number, version.changes))
        self._engine.insert_payload(VERSIONS, _versions_block([version]))

    def answer(self, number: int, answers: Sequence[Answer]) -> None:
        """Store what proxies said to a version."""
        self._engine.insert_payload(ANSWERS, _answers_block(number, answers))

    def drop_unfinished(self) -> None:
        """Forget changes of a version that was not written: the server ended in between."""
        newest = self.newest()
        where, params = "Number > {number:UInt32}", {"number": newest.number if newest else 0}
        if len(self._engine.query(f"SELECT 1 FROM config_changes WHERE {where} LIMIT 1", params)):
            self._engine.command(f"DELETE FROM config_changes WHERE {where}", params)

    def newest(self) -> Version | None:
        """The version that went live last, without its changes."""
        found = self._versions("", " ORDER BY Number DESC LIMIT 1", {})
        return found[0] if found else None

    def versions(
        self, limit: int, start_ms: int | None = None, end_ms: int | None = None, service: str = ""
    ) -> list[Version]:
        """The newest versions that were live at any time of [start, end], newest first; changes without YAML.

        With a `service` only those that changed a resource which is called so, or names it as a whole word.
        """
        if not 1 <= limit <= MOST:
            raise BadInputError(f"limit must be between 1 and {MOST}")
        params: dict[str, Any] = {"start": start_ms or 0, "end": end_ms if end_ms is not None else 1 << 62}
        where = " WHERE Ms <= {end:Int64} AND (Until = 0 OR Until > {start:Int64})"
        if service:
            where += f" AND Number IN (SELECT Number FROM config_changes WHERE {_NAMES_IT})"
            params |= {"service": service, "word": f"(^|[^A-Za-z0-9-]){re.escape(service)}([^A-Za-z0-9-]|$)"}
        return self._filled(self._versions(where, f" ORDER BY Number DESC LIMIT {limit}", params), texts=False)

    def version(self, name: str) -> Version:
        """One version by number or by the beginning of its hash (the newest that has it); `NotFoundError`."""
        return self._filled([self._named(name)], texts=True)[0]

    def at(self, time_ms: int) -> Version:
        """The version that was live at a time; `NotFoundError` before the first one."""
        params = {"time": time_ms}
        found = self._versions(" WHERE Ms <= {time:Int64}", " ORDER BY Number DESC LIMIT 1", params)
        if not found:
            raise NotFoundError("no configuration was live then: the history begins later")
        return self._filled(found, texts=True)[0]

    def resources(self, number: int) -> list[Resource]:
        """All resources of a version, by kind, namespace and name."""
        frame = self._engine.query(_STATE, {"number": number})
        return [Resource(*_plain(row)) for row in frame.itertuples(index=False, name=None)]

    def between(self, older: str, newer: str) -> tuple[Version, Version, list[Change]]:
        """Two versions (named as for `version`) and what differs from the first to the second."""
        first, second = self._named(older), self._named(newer)
        before = {one.key: one for one in self.resources(first.number)}
        return first, second, changes(before, self.resources(second.number))

    def _named(self, name: str) -> Version:
        params: dict[str, Any] = {"name": name}
        if name.isdecimal() and len(name) < 10:
            where, params = " WHERE Number = {name:UInt32}", {"name": int(name)}
        elif len(name) >= _SHORTEST_HASH and name.isalnum():
            where = " WHERE startsWith(Hash, {name:String})"
        else:
            raise BadInputError(f"{name!r} is no version: a number, or {_SHORTEST_HASH} characters of its hash or more")
        found = self._versions(where, " ORDER BY Number DESC LIMIT 1", params)
        if not found:
            raise NotFoundError(f"there is no version {name}")
        return found[0]

    def _versions(self, where: str, rest: str, params: dict[str, Any]) -> list[Version]:
        sql = (
            f"SELECT * FROM (SELECT *, leadInFrame(Ms, 1, 0) OVER (ORDER BY Number"
            f" ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS Until FROM ({_VERSIONS})){where}{rest}"
        )
        rows = self._engine.query(sql, params).itertuples(index=False, name=None)
        return [
            Version(int(number), str(hashed), int(ms), int(services), int(workloads), int(until) or None)
            for number, hashed, ms, services, workloads, until in rows
        ]

    def _filled(self, versions: Sequence[Version], *, texts: bool) -> list[Version]:
        params = {"numbers": [one.number for one in versions]}
        if not versions:
            return []
        by_number: dict[int, list[Change]] = {}
        sql = _CHANGES.format(texts=", Before, After" if texts else ", '' AS Before, '' AS After")
        sql += " WHERE Number IN {numbers:Array(UInt32)} ORDER BY Number, Kind, Namespace, Name"
        for number, *row in self._engine.query(sql, params).itertuples(index=False, name=None):
            by_number.setdefault(int(number), []).append(Change(*_plain(row)))
        answers: dict[int, list[Answer]] = {}
        for number, *row in self._engine.query(_ANSWERS, params).itertuples(index=False, name=None):
            answers.setdefault(int(number), []).append(Answer(*_plain(row)))
        return [
            replace(one, changes=by_number.get(one.number, ()), answers=answers.get(one.number, ())) for one in versions
        ]


def _plain(row: Iterable[Any]) -> list[Any]:
    """Strings and Python's own integers."""
    return [value if isinstance(value, str) else int(value) for value in row]


def _numbers(name: str, values: Iterable[int]) -> native.Column:
    return native.numbers(name, np.fromiter(values, np.uint32))


def _versions_block(rows: Sequence[Version]) -> bytes:
    return native.block(_version_columns(rows), len(rows))


def _version_columns(rows: Sequence[Version]) -> list[native.Column]:
    return [
        _numbers("Number", (one.number for one in rows)),
        native.texts("Hash", (one.hash for one in rows)),
        native.moments("Live", np.fromiter((one.live_ms for one in rows), np.int64)),
        _numbers("Services", (one.services for one in rows)),
        _numbers("Workloads", (one.workloads for one in rows)),
    ]


def _changes_block(number: int, rows: Sequence[Change]) -> bytes:
    return native.block(_change_columns(number, rows), len(rows))


def _change_columns(number: int, rows: Sequence[Change]) -> list[native.Column]:
    return [
        _numbers("Number", (number for _ in rows)),
        native.texts("Change", (one.what for one in rows)),
        native.texts("Kind", (one.kind for one in rows)),
        native.texts("Namespace", (one.namespace for one in rows)),
        native.texts("Name", (one.name for one in rows)),
        native.texts("File", (one.file for one in rows)),
        _numbers("Line", (one.line for one in rows)),
        native.texts("Digest", (one.digest for one in rows)),
        native.texts("Before", (one.before for one in rows)),
        native.texts("After", (one.after for one in rows)),
    ]


def _answers_block(number: int, rows: Sequence[Answer]) -> bytes:
    return native.block(_answer_columns(number, rows), len(rows))


def _answer_columns(number: int, rows: Sequence[Answer]) -> list[native.Column]:
    return [
        _numbers("Number", (number for _ in rows)),
        native.texts("Node", (one.node for one in rows)),
        native.texts("Workload", (one.workload for one in rows)),
        native.texts("Namespace", (one.namespace for one in rows)),
        native.texts("Type", (one.type for one in rows)),
        native.texts("Reason", (one.reason for one in rows)),
        native.moments("Answered", np.fromiter((one.answered_ms for one in rows), np.int64)),
    ]


VERSIONS: PayloadInsert = native.insert_of("config_versions", _version_columns(()))
CHANGES: PayloadInsert = native.insert_of("config_changes", _change_columns(0, ()))
ANSWERS: PayloadInsert = native.insert_of("config_answers", _answer_columns(0, ()))
