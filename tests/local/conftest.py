"""Fixtures of the local room's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from windvane.mesh.files import FileSource
from windvane.mesh.view import MeshView


@pytest.fixture
def mesh(tmp_path: Path) -> Callable[[str], MeshView]:
    """The view of YAML text."""

    def load(text: str) -> MeshView:
        file = tmp_path / "mesh.yaml"
        file.write_text(text, encoding="utf-8")
        result = FileSource([file]).load()
        assert result.view is not None, result.findings
        return result.view

    return load
