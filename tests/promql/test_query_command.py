"""`windvane query` against a server on a socket."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import uvicorn
from click.testing import CliRunner

from windvane.api.app import build_app
from windvane.api.prometheus import StatusInfo, routes
from windvane.cli.query import command
from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError, UnavailableError, WindvaneError
from windvane.promql.engine import QueryEngine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.series import SampleWriter

NOW = 1_700_000_000


@pytest.fixture
def server(engine: EmbeddedEngine) -> Iterator[str]:
    labels = [{"__name__": "m", "job": "a"}, {"__name__": "m", "job": "b"}]
    for n in range(3):
        SampleWriter(engine).write(labels, np.full(2, (NOW - 20 + 10 * n) * 1000), np.array([n, 2.0 * n]))
    app = build_app([routes(QueryEngine(engine), ManualClock(NOW * 1_000_000_000), StatusInfo(0))])
    running = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none", lifespan="off"))
    thread = threading.Thread(target=running.run)
    thread.start()
    deadline = time.monotonic() + 30
    while not running.started and time.monotonic() < deadline:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    running.should_exit = True
    thread.join()


def run(*arguments: str) -> str:
    return CliRunner().invoke(command, list(arguments), catch_exceptions=False, standalone_mode=False).stdout


def test_results_as_tables(server: str) -> None:
    vector = run("sort(m)", "--server", server)
    assert [line.split() for line in vector.splitlines()[1:]] == [['m{job="a"}', "2"], ['m{job="b"}', "4"]]
    assert run("1 + 1", "--server", server).strip() == "2"
    matrix = run("m{job='b'}", "--start", str(NOW - 10), "--end", str(NOW), "--step", "10s", "--server", server)
    assert [line.split()[-1] for line in matrix.splitlines()[1:]] == ["2", "4"]


def test_results_as_json(server: str) -> None:
    data = json.loads(run("sum(m)", "--time", str(NOW), "--output", "json", "--server", server))
    assert data == {"resultType": "vector", "result": [{"metric": {}, "value": [NOW, "6"]}]}


def test_explain(server: str) -> None:
    text = run("sum by (job) (m)", "--explain", "--server", server)
    assert '__name__="m"' in text
    assert "sum by (job)" in text
    assert [line.split()[-5:-1] for line in text.splitlines()[1:2]] == [["2", "6", "miss", "6"]]
    again = json.loads(run("sum by (job) (m)", "--explain", "--output", "json", "--server", server))
    assert [(read["source"], read["rows"], read["samples"]) for read in again["reads"]] == [("hit", 0, 6)]
    nodes = json.loads(run("sum(m)", "--explain", "--output", "json", "--server", server))["nodes"]
    assert [node["node"] for node in nodes] == ["sum", '{__name__="m"}']


def test_mistakes(server: str) -> None:
    with pytest.raises(BadInputError, match="parse error"):
        run("m{", "--server", server)
    with pytest.raises(WindvaneError, match="many-to-many"):
        run("m + on () m", "--server", server)
    with pytest.raises(BadInputError, match="needs --start, --end and --step"):
        run("m", "--start", "1", "--server", server)
    with pytest.raises(UnavailableError, match="no answer from"):
        run("m", "--server", "http://127.0.0.1:1")
