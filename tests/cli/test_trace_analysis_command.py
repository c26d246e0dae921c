"""`windvane traces …`: tables for people, the API's JSON for programs, errors in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from asgi_client import AsgiClient
from click.testing import CliRunner
from telemetry_rows import store_entries, store_spans

from windvane.api.windvane import analysis
from windvane.api.windvane.analysis_exemplars import istio_naming
from windvane.cli.traces import command
from windvane.ingest.istio_labels import Directory
from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError, NotFoundError, UnavailableError
from windvane.store.api import Engine
from windvane.tracing.model import Span

NOW = 1_790_000_000 * 10**9
MS = 10**6


def trace(number: int, wait: int, status: str = "Unset") -> list[Span]:
    ids = {"trace_id": f"{number:032x}", "kind": "Internal", "start_ns": NOW - 10**9}
    spans = [Span(span_id=f"{1:016x}", parent_id="", name="GET /", service="web", duration_ns=100 * MS + wait, **ids)]
    for call in range(2, 8):
        at = {**ids, "start_ns": NOW - 10**9 + (call - 2) * 10 * MS}
        spans.append(Span(span_id=f"{call:016x}", parent_id=f"{1:016x}", name=f"SELECT {call}", service="db",
                          duration_ns=5 * MS + (wait if call == 7 else 0), status=status if call == 7 else "Unset",
                          attributes={"node": "bad" if wait else "good"}, **at))  # fmt: skip
    return spans


@pytest.fixture
def asked(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    store_spans(engine, [one for n in range(1, 41) for one in trace(n, 40 * MS if n > 25 else 0,
                                                                   "Error" if n > 25 else "Unset")])  # fmt: skip
    store_entries(engine, [{"Timestamp": NOW - 10**9, "Reporter": "source", "Kind": "http", "RequestId": "r",
                            "UpstreamCluster": "outbound|80||db", "UpstreamAttempts": 9}])  # fmt: skip
    client = AsgiClient(analysis.routes(engine, ManualClock(NOW), istio_naming(Directory)))

    def request(method: str, url: str, **given: Any) -> httpx.Response:
        path = httpx.URL(url).path
        return client.post(path, given["content"]) if method == "POST" else client.get(path, given["params"])

    monkeypatch.setattr(httpx, "request", request)


def run(*arguments: str, stdin: str | None = None) -> str:
    result = CliRunner().invoke(command, arguments, input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.usefixtures("asked")
def test_tables() -> None:
    assert "web GET /: 100.000 ms, 7 spans" in run("critical-path", "1")
    paths = run("critical-path", "--service", "web")
    assert "40 traces, 280 spans" in paths
    assert "what if" in paths
    assert "→" in run("critical-path", "--faster-service", "db", "--faster", "0.5")
    assert "  db: SELECT 7" in run("flame")
    assert "web: GET /" in run("flame", "1", "--min-share", "0.5")
    compared = run("compare", "1", "1e")
    assert "failed" in compared
    assert "100.000 → 140.000" in compared
    found = run("findings")
    for part in ("SELECT *", "SELECT 7", "outbound|80||db", "failures begin in"):
        assert part in found


@pytest.mark.usefixtures("asked")
def test_cohorts_by_options_by_file_and_by_standard_input(tmp_path: Path) -> None:
    told = run("cohorts", "--tag", "node:bad")
    assert "15 traces against 25 traces" in told
    assert "span.node" in told
    question = orjson.dumps({"selection": {"tags": {"node": "bad"}}, "baseline": {"tags": {"node": "good"}}})
    file = tmp_path / "question.json"
    file.write_bytes(question)
    by_file = orjson.loads(run("cohorts", str(file), "--output", "json"))
    by_input = orjson.loads(run("cohorts", "-", "--output", "json", stdin=question.decode()))
    by_query = orjson.loads(run("cohorts", "--query", "node:bad", "--baseline-query", "node:good", "--output", "json"))
    by_options = orjson.loads(run("cohorts", "--tag", "node:bad", "--baseline-tag", "node:good", "--output", "json"))
    assert by_file == by_input == by_options == by_query
    assert by_file["selection"]["traces"] == 15


@pytest.mark.usefixtures("asked")
def test_json_is_what_the_api_answers() -> None:
    assert orjson.loads(run("critical-path", "1", "--output", "json"))["duration_ms"] == 100.0


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (["critical-path", "ffff"], NotFoundError, "not found"),
        (["flame", "--tag", "x"], BadInputError, "key:value"),
        (["cohorts", "--tag", "x"], BadInputError, "KEY:VALUE"),
        (["findings", "--calls", "0"], BadInputError, "calls"),
    ],
)
def test_errors_are_the_servers(arguments: list[str], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        run(*arguments)


def test_no_server(free_port: Any) -> None:
    with pytest.raises(UnavailableError, match="no answer"):
        run("findings", "--server", f"http://127.0.0.1:{free_port()}")
