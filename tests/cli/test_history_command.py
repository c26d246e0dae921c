"""`windvane history`: versions of a server's configuration, in tables, diffs and JSON."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from windvane.cli.history import command

CHANGE = {"change": "changed", "kind": "VirtualService", "namespace": "shop", "name": "reviews", "file": "f", "line": 1}
VERSION = {
    "number": 2, "version": "bbbb2222cccc3333", "live_at": 1_700_000_060.0, "until": 1_700_007_260.0, "services": 3,
    "workloads": 4, "added": 0, "changed": 1, "removed": 0, "changes": [CHANGE], "acknowledged": 1, "rejected": 1,
}  # fmt: skip
TEXTS = [{**CHANGE, "before": "a: 1\nweight: 90\n", "after": "a: 1\nweight: 50\n"}]
PROXIES = [
    {"node_id": "n", "workload": "web", "namespace": "shop", "state": "rejected", "type": "LDS",
     "reason": "no such filter", "at": 1_700_000_060.25}
]  # fmt: skip
DETAILS = {**VERSION, "changes": TEXTS, "proxies": PROXIES, "resources": [{}, {}]}
ANSWERS: dict[str, Any] = {
    "": {"versions": [VERSION, {**VERSION, "number": 1, "until": None, "added": 4, "changes": [CHANGE] * 4}]},
    "/2": DETAILS,
    "/at": DETAILS,
    "/diff": {"older": VERSION, "newer": VERSION, "changes": TEXTS},
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[httpx.URL]:
    urls: list[httpx.URL] = []

    def answered(request: httpx.Request) -> httpx.Response:
        urls.append(request.url)
        return httpx.Response(200, json=ANSWERS[request.url.path.removeprefix("/api/windvane/v1/config/history")])

    monkeypatch.setattr(httpx, "request", httpx.Client(transport=httpx.MockTransport(answered)).request)
    return urls


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(command, arguments)


def test_versions_in_a_table(asked: list[httpx.URL]) -> None:
    result = run("--service", "reviews", "--limit", "7")
    assert dict(asked[0].params) == {"limit": "7", "service": "reviews"}
    head, second, first = result.output.splitlines()
    assert head.split() == ["version", "hash", "live", "since", "for", "acked", "rejected", "changes"]
    assert second.split()[:2] == ["2", "bbbb2222"]
    assert second.split()[4:] == ["2.0h", "1", "1", "~VirtualService", "shop/reviews"]
    assert first.endswith(", 2 more")
    assert " live " in first


def test_one_version(asked: list[httpx.URL]) -> None:
    output = run("show", "2").output
    assert output.startswith("configuration 2 (bbbb2222cccc3333), live since ")
    assert "services: 3; workloads: 4; resources: 2" in output
    assert "web.shop  rejected  0.25 s  LDS   no such filter" in output
    assert output.endswith("@@ -1,2 +1,2 @@\n a: 1\n-weight: 90\n+weight: 50\n")


def test_what_was_live_at_a_time(asked: list[httpx.URL]) -> None:
    found = json.loads(run("--at", "2023-11-14T22:14:20Z", "--output", "json").output)
    assert found == DETAILS
    assert asked[0].params["time"] == "2023-11-14T22:14:20Z"


def test_two_versions(asked: list[httpx.URL]) -> None:
    result = run("diff", "1", "bbbb")
    assert (result.exit_code, dict(asked[0].params)) == (1, {"from": "1", "to": "bbbb"})
    assert "--- VirtualService shop/reviews\n+++ VirtualService shop/reviews" in result.output


def test_a_version_is_a_number_or_a_hash(asked: list[httpx.URL]) -> None:
    result = run("show", "../status")
    assert result.exit_code != 0
    assert asked == []
