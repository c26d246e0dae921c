"""`windvane logs` against a running server: import from files and pipes, search, patterns, following; errors told."""

from __future__ import annotations

import gzip
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result
from quiet_server import QUIET

from windvane.cli.logs import command
from windvane.kit.errors import BadInputError, UnavailableError

LINE = (
    '[{time}] "GET /reviews/{n} HTTP/1.1" {code} - via_upstream - "-" 0 135 4 3 "-" "curl" "r-{n}" "reviews:9080" '
    '"10.0.0.1:80" outbound|9080||reviews.default.svc.cluster.local - 10.0.0.1:80 10.0.0.2:1 - default'
)
JUNK = "2026-11-29T20:00:00.000000Z\tinfo\txdsproxy\tconnected to upstream XDS server"


def _line(number: int, code: int = 200) -> str:
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - 60)) + f".{number:03}Z"
    return LINE.format(time=at, n=number, code=code)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = str(tmp_path_factory.mktemp("logs"))
    program = [sys.executable, "-m", "windvane", "serve", "--data", data, "--http", "127.0.0.1:0", *QUIET]
    process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if match := re.search(r"console and APIs on (http://[\d.:]+)", line):
                yield match[1]
                break
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def logs(server: str, *arguments: str, given: bytes = b"") -> Result:
    """The command in this process: a program's start takes longer than what is asked here."""
    return CliRunner().invoke(command, [*arguments, "--server", server], input=given, env={"COLUMNS": "200"})


def test_import_then_search_then_patterns(server: str, tmp_path: Path) -> None:
    lines = [_line(1), JUNK, _line(2, 503), "", "[pod/reviews-1/istio-proxy] " + _line(3)]
    plain, packed = tmp_path / "a.log", tmp_path / "b.log.gz"
    plain.write_text("\n".join(lines))
    packed.write_bytes(gzip.compress("\n".join(_line(n) for n in range(4, 10)).encode()))
    result = logs(server, "import", str(plain), str(packed))
    assert result.exit_code == 0, result.output
    assert result.stdout == "9 entries imported, 1 lines left out\n"
    assert f"{plain}:2: it is not in the format: 2026" in result.stderr
    piped = json.loads(logs(server, "import", "--output", "json", given=_line(10).encode()).stdout)
    assert (piped["stored"], piped["bad"]) == (1, 0)

    found = json.loads(logs(server, "search", "status>=500", "--output", "json").stdout)["lines"]
    assert [line["entry"]["path"] for line in found] == ["/reviews/2"]
    shown = logs(server, "search", "service:reviews", "--limit", "4", "--sort", "oldest").stdout.splitlines()
    assert [re.search(r"/reviews/(\d+)", line)[1] for line in shown] == ["1", "2", "3", "4"]  # type: ignore[index]
    shapes = json.loads(logs(server, "patterns", "--compare", "1h", "--output", "json").stdout)["patterns"]
    assert {one["status"]: (one["count"], one["change"]) for one in shapes} == {"2xx": (9, "new"), "5xx": (1, "new")}
    table = logs(server, "patterns").stdout
    assert "/reviews/<*>" in table


def test_following(server: str) -> None:
    program = [sys.executable, "-m", "windvane", "logs", "search", "status:418", "--follow", "--output", "json"]
    logs(server, "import", given=_line(20, 418).encode())
    # A shell starts what it runs in the background with SIGINT ignored, and so does this test its children then.
    heeding = ["env", "--default-signal=INT"]
    with subprocess.Popen([*heeding, *program, "--server", server], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["entry"]["path"] == "/reviews/20"
        logs(server, "import", given=f"{_line(21)}\n{_line(22, 418)}".encode())
        assert json.loads(process.stdout.readline())["entry"]["path"] == "/reviews/22"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0


def test_the_stream_is_events(server: str) -> None:
    with httpx.stream("GET", f"{server}/api/windvane/v1/logs/tail", timeout=60, trust_env=False) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.iter_lines()
        assert next(lines).startswith(":")
        logs(server, "import", given=_line(30).encode())
        event = next(line for line in lines if line.startswith("event:"))
        identity, data = next(lines), next(lines)
        assert event == "event: line"
        assert re.fullmatch(r"id: [\d.-]+", identity)
        assert json.loads(data.removeprefix("data: "))["kind"] == "access"


@pytest.mark.parametrize(
    "arguments",
    [("search", "severity>x"), ("search", "--limit", "0"), ("tail", "("), ("import", "--pod", "a~b"),
     ("import", "--format", "%START_TIME%%REQ(:PATH)%"), ("import", "/none.log")],
)  # fmt: skip
def test_mistakes(server: str, arguments: tuple[str, ...]) -> None:
    assert isinstance(logs(server, *arguments).exception, BadInputError)


def test_what_cannot_be_read_or_sent(server: str, tmp_path: Path) -> None:
    nothing = logs(server, "import", "--check", given=JUNK.encode())
    assert (nothing.exit_code, nothing.stdout) == (1, "0 entries would be imported, 1 lines left out\n")
    strict = logs(server, "import", "--check", "--strict", given=f"{_line(1)}\n{JUNK}".encode())
    assert (strict.exit_code, strict.stdout) == (1, "1 entries would be imported, 1 lines left out\n")
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(_line(1).encode() * 50)[:40])
    assert isinstance(logs(server, "import", str(cut)).exception, BadInputError)
    away = logs("http://127.0.0.1:1", "import", given=_line(1).encode())
    assert isinstance(away.exception, UnavailableError)
