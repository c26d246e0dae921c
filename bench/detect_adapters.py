"""Thin calls into `windvane.analytics` under the names that evaluation scripts use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from windvane.analytics.baselines.bank import Bank
from windvane.analytics.causes import Reading, at_its_worst, most_departed, rank
from windvane.analytics.detect import detect as detect_series
from windvane.analytics.forecast import History
from windvane.analytics.forecast import forecast as forecast_series

PIECE = 240
"""Minutes that a bank takes at a time: its newest columns have no more."""


def detect(ts: Any, values: Any, meta: Mapping[str, Any]) -> tuple[Any, Any]:
    """Scores of a single series (0 to 1), and its alerts."""
    found = detect_series(np.asarray(ts), np.asarray(values, float))
    return found.score, found.alert


def detect_red(frame: Mapping[str, Any], meta: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Alerts of a service's frame, by the baselines that a server keeps: `{"t": Unix seconds, "signal": …}` for every
    odd minute. They are given four hours at a time."""
    bank = Bank(1, 1.0 - meta["slo"])
    columns = [np.asarray(frame[name], np.float32)[None] for name in ("requests", "errors", "p99_ms")]
    times, found = np.asarray(frame["ts"], np.int64), []
    for at in range(0, len(times), PIECE):
        part = slice(at, at + PIECE)
        bank.feed(int(times[at]) // 60, *(one[:, part] for one in columns))
        size = len(times[part])
        odd = bank.rings.odd[0, :, bank.rings.end - size : bank.rings.end]
        for number, signal in enumerate(("errors", "latency", "rate")):
            found += [{"t": int(time), "signal": signal} for time in times[part][odd[number]]]
    return found


def rank_causes(case: Mapping[str, Any]) -> list[str]:
    """Services of a case, the likeliest cause first."""
    if case["target"] is None:
        return _without_symptom(case)
    before, after = _told(case, case["normal"], case["target"]), _told(case, case["abnormal"], case["target"])
    worst = at_its_worst(after, float(np.nanmedian(before)))
    readings = {one: found for one in case["services"] if (found := _reading(case, one, worst)) is not None}
    found = [cause.node for cause in rank(case["target"], readings, case["edges"])]
    rest = set(case["services"]) - set(found)
    return found + sorted(rest, key=lambda one: -readings[one].departure if one in readings else 0.0)


def _told(case: Mapping[str, Any], table: Any, service: str) -> Any:
    """The signal that alerted, where more is worse: seconds, or the share that failed."""
    column = f"{service}|{case['signal']}"
    values = table[column].to_numpy(float) if column in table else np.full(len(table), np.nan)
    return 1.0 - values / 100.0 if case["signal"] == "availability" else values


def _reading(case: Mapping[str, Any], service: str, worst: Any) -> Reading | None:
    now, calls = _told(case, case["abnormal"], service)[worst], f"{service}|requests"
    many = case["abnormal"][calls].to_numpy(float)[worst] if calls in case["abnormal"] else np.ones(len(now))
    known = np.isfinite(now)
    if not known.any():
        return None
    floor = 0.001 if case["signal"] == "availability" else 0.0
    return Reading.learnt(
        _told(case, case["normal"], service), float(now[known].mean()), float(np.nan_to_num(many[known]).mean()), floor
    )


def _without_symptom(case: Mapping[str, Any]) -> list[str]:
    before, after = case["normal"], case["abnormal"]
    found: dict[str, list[Reading]] = {service: [] for service in case["services"]}
    for column in after.columns.intersection(before.columns):
        service = column.split("|", 1)[0]
        now = after[column].to_numpy(float)
        reading = Reading.learnt(
            before[column].to_numpy(float), float(np.nanmedian(now)) if np.isfinite(now).any() else np.nan, 1.0
        )
        if reading is not None and service in found:
            found[service].append(reading)
    return most_departed(found)


def forecast(ts: Any, values: Any, horizon: int, step: int, meta: Mapping[str, Any]) -> dict[str, Any]:
    """Mean and 95 % band of the next steps."""
    found = forecast_series(History(np.asarray(ts), np.asarray(values, float), int(step)), horizon)
    return {"mean": found.mean, "lo95": found.low[0.95], "hi95": found.high[0.95]}
