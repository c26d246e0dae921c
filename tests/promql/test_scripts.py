"""Every script of `cases/` against the engine."""

from __future__ import annotations

from pathlib import Path

import promql_script as script
import pytest

from windvane.store.embedded import EmbeddedEngine

CASES = sorted((Path(__file__).parent / "cases").glob("*.test"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_script(path: Path, engine: EmbeddedEngine) -> None:
    assert script.run(path, engine) > 0


def test_a_wrong_expectation_fails(tmp_path: Path, engine: EmbeddedEngine) -> None:
    wrong = tmp_path / "wrong.test"
    wrong.write_text("load 1m\n  a 1 2\neval instant at 1m a\n  a 3\n")
    with pytest.raises(AssertionError, match="expected"):
        script.run(wrong, engine)
