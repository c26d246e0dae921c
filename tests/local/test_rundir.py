"""Run directories, what is told of a mesh, and files replaced as a whole."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import pytest
from rich.console import Console

from windvane.ingest.scrape.check import check
from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError, ConflictError
from windvane.kit.values import Address
from windvane.local.console import JsonReporter, TextReporter
from windvane.local.files import write_whole
from windvane.local.rundir import RunDir, copy_scenario
from windvane.local.scraping import scrape_configuration


def test_edits_of_a_scenario_stay_until_a_fresh_start(tmp_path: Path) -> None:
    mesh, profile = copy_scenario("shop", tmp_path)
    routing = mesh / "routing.yaml"
    original = routing.read_text()
    routing.write_text("edited")
    copy_scenario("shop", tmp_path)
    assert routing.read_text() == "edited"
    copy_scenario("shop", tmp_path, fresh=True)
    assert routing.read_text() == original
    assert profile.exists()


def test_a_run_directory_is_its_owners(tmp_path: Path) -> None:
    held = RunDir(tmp_path / "run")
    held.close()
    assert stat.S_IMODE(held.path.stat().st_mode) == 0o700


def test_a_scrape_configuration_stays_as_edited_and_follows_the_server(tmp_path: Path) -> None:
    path = scrape_configuration(tmp_path, Address("127.0.0.1", 9900))
    assert check(path).problems == ()
    path.write_text("scrape_configs: []\n")
    assert scrape_configuration(tmp_path, Address("127.0.0.1", 9901)) == path
    assert path.read_text() == "scrape_configs: []\n"
    assert (tmp_path / "server-targets.json").read_text() == '[{"targets":["127.0.0.1:9901"]}]'


def test_an_unknown_scenario_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no scenario 'bank' \(there is: finance, iot, resilience, shop\)"):
        copy_scenario("bank", tmp_path)


def test_a_run_directory_is_held_by_one_mesh(tmp_path: Path) -> None:
    base = tmp_path / "shop"
    first = RunDir(base)
    with pytest.raises(ConflictError, match="in use by another mesh"):
        RunDir(base)
    second = RunDir.first_free(base)
    third = RunDir.first_free(base)
    assert [held.path.name for held in (first, second, third)] == ["shop", "shop-2", "shop-3"]
    first.close()
    assert RunDir.first_free(base).path.name == "shop"


def test_a_file_is_replaced_only_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "file"
    assert write_whole(file, b"a")
    assert not write_whole(file, b"a")
    assert write_whole(file, b"b")
    assert file.read_bytes() == b"b"
    assert [entry.name for entry in file.parent.iterdir()] == ["file"]


def test_people_are_told_what_matters() -> None:
    out = io.StringIO()
    clock = ManualClock()
    tell = TextReporter(clock, Console(file=out, width=200, highlight=False))
    tell("started", {"process": "server", "pid": 1})
    tell("moved", {"option": "http", "wanted": "127.0.0.1:9900", "used": "127.0.0.1:9901"})
    clock.advance(1.5)
    tell("ready", {"process": "server", "pid": 1})
    for number in range(3):
        tell("ready", {"process": f"envoy-{number}", "pid": number})
    tell("ready", {"console": "http://c/", "gateway": None, "mesh": ["/m"], "run_dir": "/r", "seconds": 2})
    tell("exited", {"process": "envoy-1", "code": -9, "restart_in": 0.1, "last": "[red]no markup"})
    tell("finding", {"level": "error", "code": "WV0101", "message": "mesh.yaml:3: error [WV0101]: not YAML"})
    tell("traffic", {"sent": 5, "outcomes": {"200": 4, "503": 1}, "dropped": 0, "not_connected": 2})
    lines = out.getvalue().splitlines()
    assert lines == [
        "   0.0 s  127.0.0.1:9900 is taken: --http is 127.0.0.1:9901",
        "   1.5 s  server is ready",
        "   1.5 s  3 sidecars are ready",
        "         console  http://c/",
        "  edit and watch  /m",
        "            logs  /r/logs",
        "   1.5 s  envoy-1 ended (code -9: [red]no markup); again in 0.1 s",
        "   1.5 s  mesh.yaml:3: error [WV0101]: not YAML",
        "   1.5 s  traffic: 5 requests sent (4 × 200, 1 × 503); not sent: 0 dropped, 2 without connection",
    ]


def test_programs_are_told_everything_one_document_a_line(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    tell = JsonReporter(ManualClock(1_700_000_000_000_000_000))
    tell("started", {"process": "server", "pid": 1})
    assert capfdbinary.readouterr().out == b'{"event":"started","time":1700000000.0,"process":"server","pid":1}\n'
