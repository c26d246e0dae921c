"""`windvane analyze`: text with the source line, JSON, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result
from mesh_support import DATA

from windvane.cli.analyze import command
from windvane.kit.errors import UnavailableError

BAD = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n    - {name: http, port: 0}\n"


def run(*arguments: str, text: str = "") -> Result:
    return CliRunner().invoke(command, arguments, input=text)


def test_text_shows_the_line(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(BAD)
    result = run(str(file))
    assert result.exit_code == 1
    assert result.output == (
        f"{file}:6: error [IST0106] Service default/a spec.ports[0].port: port 0 is not in range 1..65535\n"
        "     6 |     - {name: http, port: 0}\n"
        "       |                    ^^^^^^^\n"
        "1 error\n"
    )


def test_json_is_a_list_of_findings() -> None:
    result = run("-", "--output", "json", "--namespace", "shop", text=BAD)
    assert result.exit_code == 1
    assert json.loads(result.output) == [
        {
            "code": "IST0106",
            "level": "error",
            "resource": "Service shop/a",
            "message": "port 0 is not in range 1..65535",
            "file": "-",
            "line": 6,
            "column": 20,
            "end_column": 27,
            "path": "spec.ports[0].port",
            "kiali": "",
        }
    ]


@pytest.mark.parametrize("output", ["text", "json"])
def test_notes_alone_exit_with_zero(output: str) -> None:
    result = run(str(DATA / "good" / "everything.yaml"), "--output", output)
    assert result.exit_code == 0
    assert "WV0207" in result.output


def test_nothing_found() -> None:
    result = run("-", text=BAD.replace("port: 0", "port: 80"))
    assert (result.exit_code, result.output) == (0, "Nothing found.\n")


def test_usage() -> None:
    assert run().exit_code == 2
    assert run("-", "--server", "http://127.0.0.1:1", text=BAD).exit_code == 2
    assert run("-", "--suppress", "nonsense", text=BAD).exception is not None


@pytest.mark.parametrize(("level", "code"), [("error", 0), ("warning", 0), ("info", 1)])
def test_the_level_that_fails_is_chosen(level: str, code: int) -> None:
    text = BAD.replace("name: http, port: 0", "name: web, port: 80")
    assert run("-", "--fail-on", level, text=text).exit_code == code


def test_what_is_suppressed_is_not_told() -> None:
    result = run("-", "--suppress", "IST0106=Service a.default", text=BAD)
    assert (result.exit_code, result.output) == (0, "Nothing found.\n")


def test_kialis_code_stands_beside_ours() -> None:
    text = "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: a}, spec: {host: b}}"
    assert "(KIA0202)" in run("-", text=text).output
    assert json.loads(run("-", "--output", "json", text=text).output)[0]["kiali"] == "KIA0202"


@pytest.mark.parametrize("file", sorted((DATA / "bad").glob("*.yaml")), ids=lambda file: file.stem)
def test_sarif_has_what_its_schema_requires(file: Path) -> None:
    log = json.loads(run(str(file), "--output", "sarif").output)
    assert log["version"] == "2.1.0"
    (only,) = log["runs"]
    driver = only["tool"]["driver"]
    assert driver["name"] == "Windvane"
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids)
    assert only["results"]
    for result in only["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        for location in result["locations"]:
            place = location["physicalLocation"]
            assert place["artifactLocation"]["uri"] == file.as_uri()
            region = place["region"]
            assert region["startLine"] >= 1
            assert region.get("endColumn", 2) > region.get("startColumn", 1) >= 1


def test_sarif_of_standard_input_names_the_resource_alone() -> None:
    log = json.loads(run("-", "--output", "sarif", text=BAD).output)
    (location,) = log["runs"][0]["results"][0]["locations"]
    assert location == {"logicalLocations": [{"fullyQualifiedName": "Service default/a", "kind": "object"}]}


def test_sarif_of_a_relative_path_is_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a b.yaml").write_text(BAD)
    log = json.loads(run("a b.yaml", "--output", "sarif").output)
    location = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"] == {"uri": "a%20b.yaml"}
    assert location["region"] == {"startLine": 6, "startColumn": 20, "endColumn": 27}


def served(config: dict[str, object] | None) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/windvane/v1/status"
        return httpx.Response(200, json={"config": config})

    return httpx.MockTransport(answer)


def ask(monkeypatch: pytest.MonkeyPatch, transport: httpx.MockTransport) -> Result:
    client = httpx.Client(transport=transport)
    monkeypatch.setattr(httpx, "request", client.request)
    return run("--server", "http://mesh.example:9900/", "--output", "json")


def test_a_running_server_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    one = json.loads(run("-", "--output", "json", text=BAD).output)
    result = ask(monkeypatch, served({"findings": one}))
    assert result.exit_code == 1
    assert json.loads(result.output) == one


def test_a_server_without_a_mesh_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    result = ask(monkeypatch, served(None))
    assert (result.exit_code, json.loads(result.output)) == (0, [])


def test_what_is_no_server_of_ours_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(ask(monkeypatch, served({"findings": [{}]})).exception, UnavailableError)
    assert isinstance(run("--server", "http://127.0.0.1:1").exception, UnavailableError)
