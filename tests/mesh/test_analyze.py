"""`windvane analyze`: text with the source line, JSON, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mesh_support import DATA

from windvane.cli.analyze import command

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
            "path": "spec.ports[0].port",
        }
    ]


@pytest.mark.parametrize("output", ["text", "json"])
def test_notes_alone_exit_with_zero(output: str) -> None:
    result = run(str(DATA / "good"), "--output", output)
    assert result.exit_code == 0
    assert "WV0207" in result.output


def test_nothing_found() -> None:
    result = run("-", text=BAD.replace("port: 0", "port: 80"))
    assert (result.exit_code, result.output) == (0, "Nothing found.\n")


def test_usage() -> None:
    assert run().exit_code == 2
