"""Files of recorded traffic as `windvane diff` takes them, and a server's access logs."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from windvane.cli import traffic
from windvane.kit.errors import BadInputError
from windvane.local.diff.recorded import Recorded

ENTRY = {
    "start_time": "2026-01-01T00:00:00.000Z", "method": "GET", "path": "/a", "authority": "reviews:9080",
    "response_code": 200, "upstream_cluster": "outbound|9080||reviews.default.svc.cluster.local", "request_id": "1",
}  # fmt: skip
SPAN = {
    "traceId": "t", "spanId": "1", "kind": 2,
    "attributes": [
        {"key": "http.method", "value": {"stringValue": "GET"}},
        {"key": "http.url", "value": {"stringValue": "http://books.example/a"}},
    ],
}  # fmt: skip
TRACES = {"resourceSpans": [{"scopeSpans": [{"spans": [SPAN]}]}]}
OTHER = {"resourceSpans": [{"scopeSpans": [{"spans": [{**SPAN, "traceId": "u"}]}]}]}
ASKED = Recorded("GET", "reviews:9080", "/a", cluster=ENTRY["upstream_cluster"])
SEEN = Recorded("GET", "books.example", "/a")


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (json.dumps(ENTRY), {ASKED: 1}),
        (json.dumps(TRACES), {SEEN: 1}),
        (json.dumps(TRACES, indent=1), {SEEN: 1}),
        # As the Collector's file exporter writes: a document a line.
        (f"{json.dumps(TRACES)}\n{json.dumps(OTHER)}\n", {SEEN: 2}),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_formats_are_known_by_what_they_hold(
    tmp_path: Path, content: str, wanted: dict[Recorded, int], packed: bool
) -> None:
    file = tmp_path / "traffic"
    data = content.encode()
    file.write_bytes(gzip.compress(data) if packed else data)
    found = traffic.Traffic()
    found.read_file(file, None)
    assert (found.requests, found.notes) == (wanted, [])


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "traffic"
    file.write_text(f"{json.dumps(ENTRY)}\nanother line\n")
    found = traffic.Traffic()
    found.read_file(file, None)
    assert found.requests == {ASKED: 1}
    assert found.notes == [
        f"{file}: 1 lines are no entries of an access log and are left out (line 2: it is not in the format)"
    ]
    with pytest.raises(BadInputError, match="cannot be read"):
        found.read_file(tmp_path / "missing", None)
    file.write_bytes(b"\x1f\x8b broken")
    with pytest.raises(BadInputError, match="cannot be read"):
        found.read_file(file, None)


def test_a_servers_entries_come_by_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"method": "GET", "path": "/a", "authority": "reviews:9080", "reporter": "source",
             "upstream_cluster": ENTRY["upstream_cluster"], "request_id": "", "kind": "http"}  # fmt: skip
    pages = iter([{"lines": [{"entry": entry}], "next": "more"}, {"lines": [{"entry": entry}], "next": None}])
    asked: list[dict[str, Any]] = []

    def answer(server: str, tenant: str | None, path: str, *, params: dict[str, Any]) -> dict[str, Any]:
        asked.append({"server": server, "tenant": tenant, "path": path, **params})
        return next(pages)

    monkeypatch.setattr(traffic, "answer", answer)
    found = traffic.Traffic()
    found.read_server("http://w", "t", "2h", 10)
    assert found.requests == {ASKED: 2}
    assert [(each["path"], each["kind"], each.get("cursor")) for each in asked] == [
        ("logs", "access", None),
        ("logs", "access", "more"),
    ]
    assert asked[0]["end"] - asked[0]["start"] == pytest.approx(7_200)
