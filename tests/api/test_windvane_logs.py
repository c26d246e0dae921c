"""Own routes of log lines: pages, counts, completion, patterns, lines of a trace, import; mistakes told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from asgi_client import AsgiClient
from telemetry_rows import store_entries, store_logs

from windvane.api.windvane import logs, logs_import, logs_tail
from windvane.api.windvane.docs import operations
from windvane.ingest import access_log_import
from windvane.ingest.access_log_import import AccessLogImport
from windvane.ingest.accounting import Accounting
from windvane.ingest.istio_metrics import Directory, IstioMetrics
from windvane.kit.clock import ManualClock, SystemClock
from windvane.kit.errors import BadInputError, LimitError
from windvane.kit.metrics import Metrics
from windvane.store.api import Engine
from windvane.store.commit import GroupCommit
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.tracing.logs.tail import Tail

NOW = 1_790_000_000 * 10**9
PATH = "/api/windvane/v1/logs"


@pytest.fixture(scope="module")
def client(data_directory: Path) -> Iterator[AsgiClient]:
    engine = EmbeddedEngine.open(data_directory, database="log_routes")
    migrate(engine, Retention(default=None))
    store_logs(
        engine,
        [{"Timestamp": NOW - i * 10**9, "Body": f"line {i}", "SeverityNumber": 17 if i == 3 else 9,
          "ServiceName": "cart", "LogAttributes": {"k": "v"}} for i in range(1, 8)],
    )  # fmt: skip
    store_entries(engine, [{"Timestamp": NOW, "Method": "GET", "Path": "/x", "ResponseCode": 503, "TraceId": "a" * 32}])
    yield AsgiClient([*logs.routes(engine, ManualClock(NOW)), *logs_tail.routes(Tail(engine, ManualClock(NOW)))])
    engine.command("DROP DATABASE log_routes")
    engine.close()


def test_a_page_and_the_next(client: AsgiClient) -> None:
    first = client.get(PATH, {"limit": "2"}).json()
    assert [line["body"] for line in first["lines"]] == ["GET /x 503", "line 1"] or first["lines"][0][
        "kind"
    ] == "access"
    line = first["lines"][1]
    assert line == {
        "id": line["id"], "kind": "log", "time": "2026-09-21T14:13:19.000000000Z", "severity": "info",
        "severity_number": 9, "severity_text": "", "service": "cart", "body": "line 1", "trace_id": "", "trace_by": "",
        "span_id": "", "request_id": "", "event": "", "scope": "", "attributes": {"k": "v"}, "resource": {},
        "entry": None,
    }  # fmt: skip
    second = client.get(PATH, {"limit": "2", "cursor": first["next"]}).json()
    assert [one["body"] for one in second["lines"]] == ["line 2", "line 3"]
    last = client.get(PATH, {"limit": "10", "cursor": second["next"]}).json()
    assert (len(last["lines"]), last["next"]) == (4, None)
    assert client.get(PATH, {"cursor": first["next"], "q": "x"}).status_code == 400


def test_counts_completion_patterns(client: AsgiClient) -> None:
    counts = client.get(f"{PATH}/histogram", {"start": str(NOW / 1e9 - 60), "step": "10s"}).json()
    assert (counts["total"], counts["step_ms"]) == (8, 10_000)
    assert {one["name"]: sum(one["counts"]) for one in counts["series"]} == {"info": 6, "error": 2}
    fields = client.get(f"{PATH}/fields", {"kind": "logs", "name": "k"}).json()
    assert fields == {
        "lines": 7,
        "fields": [{"name": "k", "scope": "log", "lines": 7, "different": 1, "values": [{"value": "v", "lines": 7}]}],
    }
    found = client.get(f"{PATH}/patterns", {"baseline_start": str(NOW / 1e9 - 9_000)}).json()
    first = found["patterns"][0]
    assert (first["template"], first["change"], first["before"]) == ("line <*>", "new", 0)


def test_lines_of_a_trace(client: AsgiClient) -> None:
    found = client.get(f"/api/windvane/v1/traces/{'A' * 32}/logs").json()
    assert ([line["kind"] for line in found["lines"]], found["more"]) == (["access"], False)


@pytest.mark.parametrize(
    ("path", "params"),
    [("", {"kind": "x"}), ("", {"q": "severity>x"}), ("", {"sort": "slowest"}), ("", {"limit": "0"}),
     ("", {"cursor": "!"}), ("/histogram", {"step": "1ms"}), ("/histogram", {"by": "x"}),
     ("/patterns", {"baseline_end": "1"}), ("/patterns", {"baseline_start": str(NOW)}), ("/tail", {"q": "("}),
     ("/tail", {"q": "severity>x"}), ("/tail", {"after": "x"}), ("/tail", {"kind": "x"})],
)  # fmt: skip
def test_mistakes_are_told(client: AsgiClient, path: str, params: dict[str, str]) -> None:
    answer = client.get(PATH + path, params)
    assert answer.status_code == 400
    assert answer.json()["error"]["kind"] == "bad_input"


@pytest.mark.parametrize(("seconds", "buckets"), [(1, 1_999), (59, 60), (3_600, 1), (86_400, 60), (90 * 86_400, 100)])
def test_steps_are_round_and_few(client: AsgiClient, seconds: int, buckets: int) -> None:
    params = {"start": str(NOW // 10**9 - seconds), "buckets": str(buckets)}
    found = client.get(f"{PATH}/histogram", params).json()
    assert len(found["series"][0]["counts"]) <= buckets + 2


def test_routes_describe_themselves(engine: Engine) -> None:
    paths, schemas = operations(logs.routes(engine, ManualClock(NOW)))
    assert {f"{PATH}{end}" for end in ("", "/histogram", "/fields", "/patterns")} < set(paths)
    assert {"LogLine", "LogLines", "LogHistogram", "LogFields", "LogPatterns", "TraceLines"} <= set(schemas)


def _import(engine: Engine, bodies: list[bytes], encoding: str = "") -> list[Any]:
    async def run() -> list[Any]:
        async with GroupCommit(engine, [access_log_import.kind()]) as commit:
            imports = AccessLogImport(commit, Accounting(Metrics()))
            return await asyncio.gather(*(imports.receive(b, encoding) for b in bodies), return_exceptions=True)

    return asyncio.run(run())


def test_imported_entries_are_stored_and_no_counter_jumps(engine: Engine) -> None:
    entries = [{"Timestamp": NOW - i, "Method": "GET", "Path": f"/{i}", "Tags": {"a": "b"}} for i in range(3)]
    good = b"\n".join(orjson.dumps(entry) for entry in entries)
    found = _import(engine, [good, b'{"Timestamp":1,"Nonsense":2}\n', b'{"Method":"GET"}', b"{", good + b"\n", b" \n"])
    assert [one if isinstance(one, int) else type(one) for one in found] == [
        3, BadInputError, BadInputError, BadInputError, 3, BadInputError,
    ]  # fmt: skip
    assert len(engine.query("SELECT 1 FROM envoy_access_logs WHERE Tags['a'] = 'b'")) == 6
    nobody = Directory()
    tick = IstioMetrics(engine, lambda: nobody, clock=SystemClock()).tick()
    assert (tick.upto, tick.groups) == (0, 0)


def test_a_body_that_is_too_long(engine: Engine) -> None:
    [found] = _import(engine, [b"\n" * (access_log_import.MESSAGE_BYTES + 1)])
    assert isinstance(found, LimitError)


def test_an_import_names_its_type(engine: Engine) -> None:
    client = AsgiClient(logs_import.routes(AccessLogImport(None, Accounting(Metrics()))))  # type: ignore[arg-type]
    answer = client.post(f"{PATH}/import", b"{}")
    assert answer.status_code == 400
    assert "application/x-ndjson" in answer.json()["error"]["message"]
