"""`windvane status`: what a server's proxies have acknowledged, and what they rejected."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from windvane.cli.status import command

CONFIG = {
    "version": "abc", "loaded_at": 1.0, "applied": True, "services": 2, "workloads": 3,
    "findings": [{"level": "warning"}, {"level": "info"}, {"level": "warning"}],
}  # fmt: skip


def kind(name: str, sent: str, acked: str, reason: str | None = None) -> dict[str, Any]:
    return {"type": name, "sent": sent, "acked": acked, "resources": 1, "nack_reason": reason}


def proxy(workload: str, *types: dict[str, Any], connected: bool = True, synced: bool = True) -> dict[str, Any]:
    return {
        "node_id": workload, "workload": workload, "namespace": "shop", "connected": connected, "connected_at": None,
        "synced": synced, "types": list(types),
    }  # fmt: skip


GOOD = proxy("web", kind("CDS", "0123456789", "0123456789"), kind("LDS", "aaaa", "aaaa"))


def run(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, Any] | None, proxies: list[dict[str, Any]], *arguments: str
) -> Result:
    answers = {"status": {"config": config}, "mesh/proxies": {"proxies": proxies}}

    def answered(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=answers[request.url.path.removeprefix("/api/windvane/v1/")])

    monkeypatch.setattr(httpx, "request", httpx.Client(transport=httpx.MockTransport(answered)).request)
    return CliRunner(env={"COLUMNS": "200"}).invoke(command, arguments)


def test_proxies_in_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, CONFIG, [GOOD])
    assert result.exit_code == 0
    assert result.output.startswith(
        "configuration abc in force\nservices: 2; workloads: 3; findings: 2 of level warning, 1 of level info\n"
    )
    assert result.output.splitlines()[-1].split() == ["web.shop", "in", "sync", "01234567", "aaaa"]


def test_rejections_are_told_with_their_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = proxy("api", kind("LDS", "bbbb", "aaaa", "Error adding listener: no such filter"), synced=False)
    late = proxy("db", kind("CDS", "bbbb", ""), synced=False)
    gone = proxy("mail", connected=False, synced=False)
    result = run(monkeypatch, CONFIG, [GOOD, bad, late, gone])
    assert result.exit_code == 1
    assert "api.shop   not in sync" in result.output
    assert "aaaa (newer rejected)" in result.output
    assert "none (newer sent)" in result.output
    assert "mail.shop  not connected" in result.output
    assert "api.shop rejected LDS bbbb: Error adding listener: no such filter" in result.output


def test_a_refused_edit_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, {**CONFIG, "applied": False}, [GOOD])
    assert result.exit_code == 1
    assert "the newest edit is refused" in result.output


def test_json_is_what_the_server_says(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, CONFIG, [GOOD], "--output", "json")
    assert json.loads(result.output) == {"config": CONFIG, "proxies": [GOOD]}


def test_a_server_without_a_mesh(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, None, [])
    assert (result.exit_code, result.output) == (0, "no mesh of its own\n")
