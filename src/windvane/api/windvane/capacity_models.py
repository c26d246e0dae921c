"""Shapes of the answers on capacity. Rates are requests a second, times seconds."""

from __future__ import annotations

from pydantic import BaseModel


class Figure(BaseModel):
    """A figure and the band that holds it with 80 %; null is without end."""

    value: float | None
    low: float | None
    high: float | None


class ScalabilityLaw(BaseModel):
    """The Universal Scalability Law fitted to requests in flight: rate of one alone, serial share, crosstalk, and the
    highest rate there is (null: none)."""

    one: float
    serial: float
    crosstalk: float
    ceiling: float | None


class CapacityCurve(BaseModel):
    """The quantile of time and the utilisation by the rate, as the fitted model has them; and what was seen."""

    rate: list[float]
    time: list[Figure]
    utilisation: list[Figure]
    seen_rate: list[float]
    seen_time: list[float]


class ComingPeaks(BaseModel):
    """Daily peaks ahead, tomorrow's first, with the bounds that hold 80 %; `growth` a day, of the logarithm.

    The season was forecast for `season_days`; farther days repeat its last week.
    """

    growth: Figure
    season_days: int
    expected: list[float]
    low: list[float]
    high: list[float]


class CapacityAnswer(BaseModel):
    """`at_traffic` is the quantile of time at the peak times `traffic`, `ratio` that quantile over the mean; `limit`
    the highest rate that meets the objective; `days` until daily peaks reach it, `full_days` until they reach
    saturation (null: not within twelve weeks); `headroom` how many times those peaks the limit (without an objective,
    saturation) is. `replicas` and `traffic` are the what-if's factors."""

    service: str
    now: float
    peak: float
    mean: float
    in_flight: float
    quantile: float
    latency: float | None
    replicas: float
    traffic: float
    ratio: float
    utilisation: Figure
    saturation: Figure
    at_traffic: Figure
    limit: Figure | None
    days: Figure | None
    full_days: Figure | None
    headroom: float
    growth: float | None
    peaks: ComingPeaks | None
    scalability: ScalabilityLaw
    points: int
    curve: CapacityCurve
    notes: list[str]


class ServiceCapacity(BaseModel):
    """One service: its daily peak, what it can take (by its objective on latency, else until saturation), how many
    times the peak that is, and the days until peaks reach it. `refused` says why nothing is told."""

    service: str
    namespace: str
    peak: float
    latency: float | None
    quantile: float
    limit: Figure | None
    saturation: Figure | None
    utilisation: Figure | None
    headroom: float | None
    days: Figure | None
    growth: float | None
    notes: list[str]
    refused: str | None


class CapacityList(BaseModel):
    """Services by headroom, the least first, those that are refused last; `left_out` had less traffic than all of
    them. Times are Unix seconds."""

    start: float
    end: float
    services: list[ServiceCapacity]
    left_out: int
