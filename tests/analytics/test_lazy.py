"""Routes and commands are made without the libraries of their statistics."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("scipy.special", "scipy.stats", "scipy.optimize", "sklearn", "lightgbm")
_PROGRAM = f"""
import sys
from windvane.api.windvane import analytics_capacity, analytics_detect, analytics_releases, analytics_seeing
from windvane.api.windvane import analytics_slo
from windvane.cli import ab, anomalies, canary, capacity, detect, forecast, slo, why
print([one for one in {HEAVY!r} if one in sys.modules])
"""


def test_heavy_libraries_are_loaded_when_first_asked() -> None:
    """Numba loads SciPy's front door, which is light."""
    found = subprocess.run([sys.executable, "-c", _PROGRAM], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
