"""What `/api/v1/status/…` tells of the server: build, configuration, flags, how it runs, its notifications."""

from __future__ import annotations

import datetime
import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson
from starlette.routing import BaseRoute

from windvane import __version__
from windvane.api.prometheus_http import Handler, api_route, success
from windvane.api.prometheus_params import Params
from windvane.kit.clock import Clock

PROMETHEUS_VERSION = "3.7.0"
"""The version of Prometheus whose API this is: clients choose by it what they may ask."""


@dataclass(frozen=True, slots=True)
class StatusInfo:
    """What `/api/v1/status/…` tells of this server; times in milliseconds, retention as Prometheus writes it.

    `config` gives the text of the configuration in use; None means a text of `scrape_interval` alone.
    `config_loaded_ms` says since when. `flags` are the settings of this process by name.
    """

    started_ms: int
    retention: str = "none"
    scrape_interval: str = "5s"
    directory: str = ""
    config: Callable[[], str] | None = None
    config_loaded_ms: Callable[[], tuple[int, bool]] | None = None
    flags: Mapping[str, str] = field(default_factory=dict)


def status_routes(clock: Clock, info: StatusInfo) -> list[BaseRoute]:
    """`status/…` except `status/tsdb`, and `notifications`."""
    face = _Status(clock, info)
    table: list[tuple[str, Handler]] = [
        ("status/buildinfo", _buildinfo),
        ("status/config", face.config),
        ("status/flags", lambda _: success(orjson.dumps(dict(info.flags), option=orjson.OPT_SORT_KEYS))),
        ("status/runtimeinfo", face.runtimeinfo),
        ("status/walreplay", lambda _: success(b'{"min":0,"max":0,"current":0}')),
        ("notifications", lambda _: success(b"[]")),
        ("features", lambda _: success(b"{}")),
    ]
    return [api_route(path, handler) for path, handler in table]


class _Status:
    def __init__(self, clock: Clock, info: StatusInfo) -> None:
        self._clock = clock
        self._info = info

    def config(self, _: Params) -> bytes:
        """`/status/config`: the configuration in use, as YAML."""
        info = self._info
        plain = f"global:\n  scrape_interval: {info.scrape_interval}\n  evaluation_interval: 1m\nscrape_configs: []\n"
        return success(orjson.dumps({"yaml": info.config() if info.config else plain}))

    def runtimeinfo(self, _: Params) -> bytes:
        """`/status/runtimeinfo`: since when, where, how long data are kept; threads stand for goroutines."""
        info = self._info
        loaded_ms, reloaded = info.config_loaded_ms() if info.config_loaded_ms else (info.started_ms, True)
        facts = {
            "startTime": _rfc3339(info.started_ms),
            "CWD": info.directory,
            "hostname": socket.gethostname(),
            "serverTime": _rfc3339(self._clock.now_ns() // 1_000_000),
            "reloadConfigSuccess": reloaded,
            "lastConfigTime": _rfc3339(loaded_ms),
            "corruptionCount": 0,
            "goroutineCount": threading.active_count(),
            "GOMAXPROCS": os.cpu_count() or 1,
            "GOMEMLIMIT": (1 << 63) - 1,
            "GOGC": "",
            "GODEBUG": "",
            "storageRetention": info.retention,
        }
        return success(orjson.dumps(facts))


def _buildinfo(_: Params) -> bytes:
    """`/status/buildinfo`: which Prometheus this is compatible with, and what it really is."""
    info = {
        "version": PROMETHEUS_VERSION,
        "revision": f"windvane-{__version__}",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "application": "Windvane",
        "applicationVersion": __version__,
    }
    return success(orjson.dumps(info))


def _rfc3339(milliseconds: int) -> str:
    moment = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{milliseconds % 1000:03d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"
