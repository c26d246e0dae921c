"""How good single-series detection and forecasts are on public data, against the methods anyone would try first.

Run as `python bench/analytics_scores.py --nab NAB --cloud CLOUD`, with a checkout of numenta/NAB (its `data` and
`labels`) and the `data` folder of microsoft/cloud-monitoring-dataset (or either alone); `--only detect|forecast`.
Simple methods get the threshold that is best for the very data they are scored by, Windvane is told at its fixed one
too. Takes minutes: NAB has 365,000 points.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from detect_adapters import detect, forecast
from machine import machine
from naive import DETECTORS, FORECASTS, once
from scoring import Floats, Labelled, best_events, events, held_out, nab, scaled_error, vus_pr

ALERT = 0.5
LOADS = {
    "nyc_taxi": ("nab", "realKnownCause/nyc_taxi", "30min"),
    "elb_requests": ("nab", "realAWSCloudwatch/elb_request_count_8c0756", "5min"),
    "twitter_AAPL": ("nab", "realTweets/Twitter_volume_AAPL", "15min"),
    "ec2_latency": ("nab", "realKnownCause/ec2_request_latency_system_failure", "5min"),
    "api_rps": ("cloud", "ecommerce-api-incoming-rps/api-01", "1h"),
    "mongo_rps": ("cloud", "mongodb-application-rps/mongo-01", "5min"),
    "ingress": ("cloud", "data-ingress-rate/ingress-01", "5min"),
}
"""Load series to forecast, and their step; those that are not at hand are left out and named."""
CHECKS = {
    "twitter_AMZN": ("nab", "realTweets/Twitter_volume_AMZN", "15min"),
    "twitter_IBM": ("nab", "realTweets/Twitter_volume_IBM", "15min"),
    "occupancy_6005": ("nab", "realTraffic/occupancy_6005", "15min"),
    "grok_asg": ("nab", "realAWSCloudwatch/grok_asg_anomaly", "5min"),
    "mongo_3": ("cloud", "mongodb-application-rps/mongo-03", "5min"),
    "machine": ("cloud", "mongodb-machine-rps/machine-01", "5min"),
    "purchase_2": ("cloud", "consumer-purchase-rate/purchase-02", "1h"),
    "purchase_4": ("cloud", "consumer-purchase-rate/purchase-04", "1h"),
    "outbound_10": ("cloud", "middle-tier-api-dependency-latency/outbound-10", "1h"),
}
"""More of the same collections, by which no member of the forecast was chosen."""


def read(path: Path) -> pd.DataFrame:
    """Columns time (Unix seconds), value, and label where there is one."""
    table = pd.read_csv(path)
    table.columns = [name.strip().lower() for name in table.columns]
    when = pd.to_datetime(table["timestamp"], utc=True).dt.tz_localize(None)
    table["time"] = when.astype("datetime64[s]").astype("int64")
    return table


def nab_series(root: Path) -> Iterator[Labelled]:
    labels = json.loads((root / "labels" / "combined_windows.json").read_text())
    for name in sorted(labels):
        table = read(root / "data" / name)
        times = table["time"].to_numpy("int64")
        at = {time: place for place, time in reversed(list(enumerate(times.tolist())))}
        windows = tuple(tuple(at[int(pd.Timestamp(end).timestamp())] for end in window) for window in labels[name])
        yield Labelled(name, times, table["value"].to_numpy(float), windows)  # type: ignore[arg-type]


def cloud_series(root: Path) -> Iterator[Labelled]:
    for path in sorted(root.glob("*/*.csv")):
        table = read(path)
        odd = table["label"].fillna(0).to_numpy() > 0
        yield Labelled(path.stem, table["time"].to_numpy("int64"), table["value"].to_numpy(float), odd=odd)


def load(path: Path, rule: str) -> tuple[Any, Floats]:
    """A series on a regular grid, as means."""
    table = read(path)
    series = pd.Series(table["value"].to_numpy(float), pd.to_datetime(table["time"], unit="s"))
    grid = series[~series.index.duplicated()].resample(rule).mean().interpolate(limit=6).ffill()
    return grid.index.astype("datetime64[s]").astype("int64").to_numpy(), grid.to_numpy(float)


def _windvane(one: Labelled) -> tuple[Floats, Any]:
    return detect(one.times, one.values, {})


def detection(jobs: int, nab_at: Path | None, cloud_at: Path | None) -> None:
    for title, series, table in (
        ("NAB 1.1, standard profile (higher is better, 100 is perfect)", list(nab_series(nab_at)) if nab_at else [],
         _nab_rows),
        ("cloud monitoring: F1 of events", list(cloud_series(cloud_at)) if cloud_at else [], _cloud_rows),
    ):  # fmt: skip
        if not series:
            continue
        points, began = sum(len(one.values) for one in series), time.perf_counter()
        with ProcessPoolExecutor(jobs) as pool:
            found = list(pool.map(_windvane, series, chunksize=1))
        took = time.perf_counter() - began
        print(f"\n{title}: {len(series)} series, {points} points; Windvane took {took:.0f} s on {jobs} processes")
        table(series, found)


def _each(series: Sequence[Labelled]) -> Iterator[tuple[str, list[Floats]]]:
    """Scores of every simple method, as they are and once an incident."""
    for name, method in DETECTORS.items():
        scores = [method(one.times, one.values) for one in series]
        yield name, scores
        yield f"{name}, once", [once(one.times, score) for one, score in zip(series, scores, strict=True)]


def _nab_rows(series: Sequence[Labelled], found: Sequence[tuple[Floats, Any]]) -> None:
    ours = [score for score, _ in found]
    print(f"| {'method':45} | at the best threshold | at the fixed one |")
    print(f"| {'Windvane':45} | {nab(series, ours)[0]:.1f} | {nab(series, ours, ALERT)[0]:.1f} |")
    for name, scores in _each(series):
        print(f"| {name:45} | {nab(series, scores)[0]:.1f} | - |")


def _cloud_rows(series: Sequence[Labelled], found: Sequence[tuple[Floats, Any]]) -> None:
    print(f"| {'method':45} | F1 (precision, recall) | false a series-day | F1 held out | VUS-PR |")
    own = events(series, [alert for _, alert in found])
    ours = [score for score, _ in found]
    print(_cloud_row("Windvane, fixed threshold", own, None, vus_pr(series, ours)))
    print(_cloud_row("Windvane", best_events(series, ours)[0], held_out(series, ours), None))
    for name, scores in _each(series):
        volume = None if name.endswith("once") else vus_pr(series, scores)
        print(_cloud_row(name, best_events(series, scores)[0], held_out(series, scores), volume))


def _cloud_row(name: str, found: Any, held: float | None, volume: float | None) -> str:
    rest = [f"{one:.3f}" if one is not None else "-" for one in (held, volume)]
    return (
        f"| {name:45} | {found.f1:.3f} ({found.precision:.2f}, {found.recall:.2f}) | {found.false_a_day:.3f} | "
        f"{' | '.join(rest)} |"
    )


def windvane_ahead(times: Any, values: Floats, horizon: int, step: int) -> tuple[Floats, Floats, Floats]:
    found = forecast(times, values, horizon, step, {})
    return found["mean"], found["lo95"], found["hi95"]


METHODS: dict[str, Callable[..., tuple[Floats, Floats, Floats]]] = {"Windvane": windvane_ahead, **FORECASTS}


def _scored(task: tuple[str, Any, Floats, bool, str]) -> tuple[float, float]:
    _, times, values, short, method = task
    return scaled_error(times, values, short, METHODS[method])


def forecasting(jobs: int, roots: dict[str, Path | None]) -> None:
    for title, chosen in (("load series", LOADS), ("more series, by which nothing was chosen", CHECKS)):
        at_hand: dict[str, tuple[Any, Floats]] = {}
        for name, (where, path, rule) in chosen.items():
            root = roots[where]
            file = (root / "data" / path if where == "nab" else root / path).with_suffix(".csv") if root else None
            if file and file.exists():
                at_hand[name] = load(file, rule)
        missing = sorted(set(chosen) - set(at_hand))
        print(f"\n{title}: {', '.join(at_hand)}" + (f" (not at hand: {', '.join(missing)})" if missing else ""))
        print("| method | day ahead: scaled error, in the 95 % band | hour ahead |")
        for method in METHODS:
            cells = []
            for short in (False, True):
                tasks = [(name, *pair, short, method) for name, pair in at_hand.items()]
                with ProcessPoolExecutor(jobs) as pool:
                    found = np.array(list(pool.map(_scored, tasks, chunksize=1)))
                cells.append(f"{found[:, 0].mean():.3f}, {found[:, 1].mean():.2f}")
                if method == "Windvane":
                    each = ", ".join(f"{name} {one:.2f}" for name, one in zip(at_hand, found[:, 0], strict=True))
                    print(f"  ({'hour' if short else 'day'}: {each})")
            print(f"| {method} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nab", type=Path, help="a checkout of numenta/NAB")
    parser.add_argument("--cloud", type=Path, help="`data` of microsoft/cloud-monitoring-dataset")
    parser.add_argument("--only", choices=("detect", "forecast"))
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    if not given.nab and not given.cloud:
        parser.error("give --nab or --cloud (or both)")
    warnings.simplefilter("ignore", RuntimeWarning)  # medians of what is not known yet
    print(machine())
    if given.only != "forecast":
        detection(given.jobs, given.nab, given.cloud)
    if given.only != "detect":
        forecasting(given.jobs, {"nab": given.nab, "cloud": given.cloud})


if __name__ == "__main__":
    main()
