"""The server starts without the libraries of its statistics."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("scipy.special", "scipy.stats", "scipy.optimize", "sklearn", "lightgbm")
_PROGRAM = (
    f"import sys, windvane.app.serve, windvane.cli.canary; print([one for one in {HEAVY!r} if one in sys.modules])"
)


def test_heavy_libraries_are_loaded_when_first_asked() -> None:
    """Numba loads SciPy's front door, which is light."""
    found = subprocess.run([sys.executable, "-c", _PROGRAM], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
