"""Good and bad configuration: each file in `data` ends with the findings that belong to it (`# => …`)."""

from __future__ import annotations

from pathlib import Path

import pytest
from mesh_support import DATA, described

from windvane.local.patches import idle_patches
from windvane.mesh.checks.wasm import local_modules
from windvane.mesh.files import FileSource
from windvane.mesh.findings import CODES

FILES = sorted(DATA.glob("*/*.yaml"))


def load(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(file.parent)
    return FileSource([file.name], also=(idle_patches, local_modules)).load()


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_findings_are_those_the_fixture_names(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [line[5:] for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("# => ")]
    found = sorted(load(file, monkeypatch).findings, key=lambda item: (item.line, item.code, item.path))
    assert [described(item) for item in found] == wanted


@pytest.mark.parametrize("file", [file for file in FILES if file.parent.name == "good"], ids=lambda file: file.stem)
def test_good_configuration_is_accepted(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = load(file, monkeypatch)
    assert result.accepted
    assert result.view is not None


def test_analysis_findings_do_not_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    result = load(DATA / "bad" / "references.yaml", monkeypatch)
    assert any(item.level == "error" for item in result.findings)
    assert result.accepted
    assert result.view is not None


def test_every_code_has_a_fixture() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in FILES)
    # Limits and unreadable files: test_yaml_source, test_files; charts and kustomizations: test_packaging; keys that
    # cannot be fetched: test_key_sets. Read by other rooms: objectives (test_kept_objectives), releases (test_keeper).
    elsewhere = {"WV0102", "WV0105", "WV0106", "WV0107", "WV0304", "WV0701", "WV0710", "WV0711"}
    assert {code for code in CODES if f"[{code}]" not in text} == elsewhere
