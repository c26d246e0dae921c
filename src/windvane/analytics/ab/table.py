"""A/B data from CSV: one row a unit, or several that are added up."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence

import numpy as np

from windvane.analytics.ab.judge import Table
from windvane.kit.errors import BadInputError


def read_csv(lines: Iterable[str], file: str, *, arm: str, unit: str | None, columns: Sequence[str]) -> Table:
    """Units by their arm; `columns` must be numbers. `BadInputError` names file, line and column."""
    rows = csv.DictReader(lines)
    missing = [name for name in (arm, *([unit] if unit else []), *columns) if name not in (rows.fieldnames or ())]
    if missing:
        raise BadInputError(f"{file}: no column {', '.join(missing)}; there are {', '.join(rows.fieldnames or ())}")
    arms: list[str] = []
    values: list[list[float]] = []
    places: dict[str, int] = {}
    for row in rows:
        own = [_number(row[name], f"{file}:{rows.line_num}: {name}") for name in columns]
        name = row[unit] if unit else str(len(arms))
        place = places.setdefault(name, len(arms))
        if place == len(arms):
            arms.append(row[arm])
            values.append(own)
        elif arms[place] != row[arm]:
            raise BadInputError(f"{file}:{rows.line_num}: unit {name!r} is in arm {row[arm]!r} and in {arms[place]!r}")
        else:
            values[place] = [sum(pair) for pair in zip(values[place], own, strict=True)]
    table = np.array(values, dtype=np.float64).reshape(-1, len(columns))
    return Table(np.array(arms, dtype=np.str_), {name: table[:, place] for place, name in enumerate(columns)})


def _number(text: str | None, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise BadInputError(f"{where}: {text!r} is not a number")
    return value
