"""Prometheus's admin API: deletion of series, cleaning up after it, snapshots. Off unless enabled, as there."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
from starlette.routing import BaseRoute

from windvane.api.prometheus_http import ApiError, Handler, api_route, success
from windvane.api.prometheus_params import EARLIEST, LATEST, Params, named
from windvane.kit.clock import Clock
from windvane.promql.errors import QueryError
from windvane.promql.read import condition
from windvane.store.delete import SeriesDeletion

_METHODS = ("POST", "PUT")


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """Whether the admin API answers, and where snapshots go (None: snapshots are refused)."""

    enabled: bool = False
    snapshots: Path | None = None


def routes(
    deletion: SeriesDeletion,
    clock: Clock,
    settings: AdminSettings,
    take: Callable[[Path], object] | None = None,
    deleted: Sequence[Callable[[], None]] = (),
) -> list[BaseRoute]:
    """`admin/tsdb/…` of one store.

    `take` puts a snapshot into a new folder. `deleted` is called after a deletion, for caches to forget
    what they hold.
    """
    face = _Admin(deletion, clock, settings, take, deleted)
    table: list[tuple[str, Handler]] = [
        ("delete_series", face.delete_series),
        ("clean_tombstones", face.clean_tombstones),
        ("snapshot", face.snapshot),
    ]
    return [api_route(f"admin/tsdb/{path}", handler, _METHODS) for path, handler in table]


@dataclass(frozen=True)
class _Admin:
    deletion: SeriesDeletion
    clock: Clock
    settings: AdminSettings
    take: Callable[[Path], object] | None
    deleted: Sequence[Callable[[], None]]

    def delete_series(self, params: Params) -> None:
        """`/admin/tsdb/delete_series`: samples of matching series between two times, both inclusive."""
        self._check()
        if not params.all("match[]"):
            raise QueryError("no match[] parameter provided")
        start, end = params.time("start", EARLIEST), params.time("end", LATEST)
        with named("match[]"):
            selectors = params.selectors()
        try:
            for selector in selectors:
                where = condition(selector.matchers)
                self.deletion.delete(where.sql, where.params, start, end)
        finally:
            for forget in self.deleted:
                forget()

    def clean_tombstones(self, _: Params) -> None:
        """`/admin/tsdb/clean_tombstones`: samples are gone already; series without any are dropped."""
        self._check()
        self.deletion.clean()

    def snapshot(self, _: Params) -> bytes:
        """`/admin/tsdb/snapshot`: the store as it is now, in a folder of the data directory."""
        self._check()
        if self.settings.snapshots is None or self.take is None:
            raise ApiError("unavailable", "this store takes no snapshots", status=500)
        moment = datetime.datetime.fromtimestamp(self.clock.now_ns() // 1_000_000_000, datetime.UTC)
        name = f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(8)}"
        self.take(self.settings.snapshots / name)
        return success(orjson.dumps({"name": name}))

    def _check(self) -> None:
        if not self.settings.enabled:
            raise ApiError("unavailable", "admin APIs disabled", status=500)
