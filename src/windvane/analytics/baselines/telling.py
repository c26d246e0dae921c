"""What a bank's newest minute says, in the words of the contract."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from windvane.analytics.baselines.bank import Bank
from windvane.analytics.baselines.contract import Found, Judgement, Reading, Scope
from windvane.analytics.baselines.noise import WINDOWS
from windvane.analytics.baselines.tracks import Stretch
from windvane.analytics.red import GAP, Incident, Signal
from windvane.analytics.red_rules import (
    BEYOND,
    FAST_BURN,
    FAST_TIMES,
    LATENCY_EFFECT,
    RATE_EFFECT,
    RATE_WINDOWS,
    UNSEEN_LATENCY,
    UNSEEN_RATE,
)
from windvane.analytics.seasonal import Flags, Floats

Rows = npt.NDArray[np.int64]
_NAMES: tuple[Signal, ...] = ("errors", "latency", "rate")
_SHORT = 5
"""Minutes of the window that the bands are of."""
UNRATED = ("version", "workload")
"""Kinds whose rate is not judged: releases move it on purpose, and what is lost the service's rate tells."""


def judgement(bank: Bank, rows: Mapping[Scope, int], slo: float) -> Judgement:
    """Incidents of the hour, and readings of the newest minute."""
    scopes: dict[int, Scope] = {row: scope for scope, row in rows.items()}
    at = (bank.rings.next - 1) * 60
    found = [
        _told(one, scopes[one.row], bank.rings.next - 1, max(1.0 - slo, _known_share(bank.usual.share[one.row])))
        for one in bank.tracks.now(bank.rings, bank.settled)
        if one.row in scopes and not (one.signal == 2 and scopes[one.row].kind in UNRATED)
    ]
    found.sort(key=lambda one: (one.incident.start, one.scope, one.incident.signal))
    return Judgement(at, found, _readings(bank, scopes, at, 1.0 - slo) if bank.rows else [])


def _known_share(share: float) -> float:
    return float(share) if share < 1.0 else 0.0


def _told(one: Stretch, scope: Scope, newest: int, budget: float) -> Found:
    signal = _NAMES[one.signal]
    is_open = newest - one.last <= GAP // 6 // 60
    incident = Incident(signal, one.start * 60, one.last * 60, one.factor, is_open)
    if signal == "errors":
        return Found(scope, incident, budget, one.seen / one.expected if one.expected > 0 else None, one.score)
    expected, seen = one.expected / one.many, one.seen / one.many
    if signal == "latency":
        expected, seen = float(np.exp(expected)), float(np.exp(seen))
    return Found(scope, incident, expected, seen, one.score)


def _readings(bank: Bank, scopes: Mapping[int, Scope], at: int, budget: float) -> list[Reading]:
    column = bank.rings.end - 1
    requests = bank.rings.requests[:, column].astype(np.float64)
    rows = np.array(sorted(row for row in scopes if np.isfinite(requests[row])), np.int64)
    if not len(rows):
        return []
    many = requests[rows]
    score = bank.rings.score[rows, :, column].astype(np.float64)
    failed = bank.rings.errors[rows, column].astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(many > 0, failed / many, np.nan)
    usual = np.where(bank.usual.share[rows] < 1.0, bank.usual.share[rows], np.nan)
    unrated = np.array([scopes[row].kind in UNRATED for row in rows.tolist()])
    figures: list[tuple[Signal, Floats, Floats, Floats, Floats, Floats]] = [
        ("errors", score[:, 0], share, np.maximum(budget, usual), np.zeros(len(rows)),
         np.minimum(1.0, np.maximum(FAST_BURN * budget, FAST_TIMES * usual))),
        ("latency", score[:, 1], *_latency(bank, rows, many)),
        ("rate", np.where(unrated, 0.0, score[:, 2]), *_rate(bank, rows, many, unrated)),
    ]  # fmt: skip
    told = []
    for signal, *columns in figures:
        lines = (np.stack(columns, axis=1)).astype(object)
        lines[~np.isfinite(np.stack(columns, axis=1))] = None
        told += [
            Reading(scopes[row], signal, at, score or 0.0, seen, expected, low, high)
            for row, (score, seen, expected, low, high) in zip(rows.tolist(), lines.tolist(), strict=True)
        ]
    return told


def _latency(bank: Bank, rows: Rows, many: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Seen, expected, and the band: milliseconds."""
    rings, column, noise = bank.rings, bank.rings.end - 1, bank.noise
    due = rings.slow_due[rows, column].astype(np.float64)
    stray = noise.at(rows, many)
    known = rings.slow_known[rows, column].astype(np.float64)
    spread = stray * np.sqrt(noise.excess[rows, WINDOWS.index(_SHORT)] ** 2 / _SHORT + 2.0 / known)
    effect = np.where(rings.slow_unseen[rows, column], UNSEEN_LATENCY, LATENCY_EFFECT)
    margin = np.maximum(effect, noise.beyond[rows] * spread)
    seen = np.exp(rings.slow[rows, column].astype(np.float64))
    return seen, np.exp(due), np.exp(due - margin), np.exp(due + margin)


def _rate(bank: Bank, rows: Rows, many: Floats, unrated: Flags) -> tuple[Floats, Floats, Floats, Floats]:
    """Seen, expected, and the band: requests a minute."""
    rings, column = bank.rings, bank.rings.end - 1
    due = np.where(unrated, np.nan, np.exp(rings.rate_due[rows, column].astype(np.float64)))
    spread = bank.noise.rate_spread[rows, RATE_WINDOWS.index(_SHORT)]
    least = due * np.where(rings.rate_unseen[rows, column], UNSEEN_RATE, np.exp(-2.0 * spread))
    low = np.minimum(RATE_EFFECT * due, least - BEYOND * np.sqrt(least / _SHORT))
    most = due * np.exp(2.0 * spread)
    return many, due, np.maximum(low, 0.0), most + BEYOND * np.sqrt(most / _SHORT)
