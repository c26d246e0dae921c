"""Thin calls into `windvane.analytics` under the names that evaluation scripts use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from windvane.analytics.red import RedFrame, judge_red


def detect_red(frame: Mapping[str, Any], meta: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Alerts of a service's frame: `{"t": Unix seconds, "signal": …}` for every odd minute."""
    judged = judge_red(
        RedFrame(frame["ts"], frame["requests"], frame["errors"], frame["p99_ms"], int(meta["step"])), meta["slo"]
    )
    return [
        {"t": int(time), "signal": signal}
        for signal, odd in judged.odd.items()
        for time in judged.times[np.flatnonzero(odd)]
    ]
