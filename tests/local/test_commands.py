"""`windvane demo` and `windvane up` as they are typed: mistakes are told before anything starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from local_helpers import service


def windvane(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "windvane", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["demo", "--scenario", "bank"], "no scenario 'bank' (there is: finance, iot, resilience, shop)"),
        (["demo", "--duration", "soon"], "not a duration: 'soon'"),
        (["demo", "--day", "soon"], "not a duration: 'soon'"),
        (["demo", "--rate", "0"], "Invalid value for '--rate'"),
        (["demo", "--http", "nowhere"], "not an address: 'nowhere'"),
        (["demo", "--ads", "none"], "--ads: a local mesh needs this address"),
        (["demo", "--gateway", "0.0.0.0:8080"], "the gateway of a local mesh listens on 127.x.y.z"),
        (["up"], "Missing argument 'FILES...'"),
        (["up", "nowhere.yaml"], "does not exist"),
        (["up", "bad.yaml"], "bad.yaml:"),
        (["up", "good.yaml", "--traffic", "traffic.yaml"], "users: Tuple should have at least 1 item"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments: list[str], told: str, tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(service("a"))
    (tmp_path / "bad.yaml").write_text(service("a").replace("selector", "selectr"))
    (tmp_path / "traffic.yaml").write_text("users: []")
    done = windvane(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["demo", "up"])
def test_help_names_every_address(command: str, tmp_path: Path) -> None:
    done = windvane(tmp_path, command, "--help")
    assert done.returncode == 0
    for option in ("--http", "--grpc", "--otlp-http", "--ads", "--gateway", "--run-dir", "--output"):
        assert option in done.stdout
