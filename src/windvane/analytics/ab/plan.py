"""How many units and days an A/B test needs, or which effect it can find in the days there are.

Normal approximation of a two-sided test: n_A = (z_(1-alpha/2) + z_power)^2 (v_A + v_B / r) / effect^2 with r = n_B /
n_A. Several metrics share alpha as Holm's first step does, which is what the verdict will use.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from windvane.kit.errors import BadInputError


@dataclass(frozen=True, slots=True)
class Design:
    """What is tested: mean and variance of a unit's value, error, power, B's share of the units, number of metrics.

    `explained` is the share of variance that a covariate takes off (CUPED: its squared correlation). A `binary` value's
    variance follows from its mean, so that B's differs.
    """

    mean: float
    variance: float
    alpha: float = 0.05
    power: float = 0.8
    share: float = 0.5
    metrics: int = 1
    explained: float = 0.0
    binary: bool = False

    def __post_init__(self) -> None:
        for name, value in (("alpha", self.alpha), ("power", self.power), ("share", self.share)):
            if not 0 < value < 1:
                raise BadInputError(f"{name} must lie between 0 and 1, not {value:g}")
        if not self.variance > 0 or not 0 <= self.explained < 1 or self.metrics < 1:
            raise BadInputError("a plan needs a variance above zero, one metric at least, and explained below 1")

    @classmethod
    def conversion(cls, rate: float, of: Design | None = None) -> Design:
        """Of a yes-or-no value with this share of yes; all else as in another design."""
        if not 0 < rate < 1:
            raise BadInputError(f"a conversion rate must lie between 0 and 1, not {rate:g}")
        return replace(of or cls(0.0, 1.0), mean=rate, variance=rate * (1 - rate), binary=True)

    @property
    def quantiles(self) -> float:
        """Standard errors that an effect must measure."""
        from scipy.special import ndtri  # noqa: PLC0415  # loaded when first needed

        return float(ndtri(1 - self.alpha / self.metrics / 2) + ndtri(self.power))

    def spread(self, effect: float) -> float:
        """Variance of the difference, times the number of all units, where B's mean differs by an effect."""
        other = self.variance
        if self.binary:
            rate = self.mean + effect
            if not 0 < rate < 1:
                raise BadInputError(f"a conversion rate of {self.mean:g} cannot change by {effect:g}")
            other = rate * (1 - rate)
        return (1 - self.explained) * (self.variance / (1 - self.share) + other / self.share)


@dataclass(frozen=True, slots=True)
class Plan:
    """Units of both arms together, the least effect that is found with the wanted power, and the days it takes."""

    units: int
    effect: float
    relative: float | None
    days: float | None


def units_for(design: Design, effect: float, daily: float | None = None) -> Plan:
    """What is needed to find an absolute effect; `daily` is how many new units arrive a day."""
    if not effect:
        raise BadInputError("an effect of zero is found by no test")
    units = math.ceil(design.quantiles**2 * design.spread(effect) / effect**2)
    return _plan(design, units, abs(effect), daily)


def effect_for(design: Design, units: int, daily: float | None = None) -> Plan:
    """The least effect that so many units (of both arms together) show."""
    if units < 4:
        raise BadInputError("a test needs four units at least")
    effect = 0.0
    for _ in range(50):  # the effect changes B's variance a little, and with it itself
        effect = design.quantiles * math.sqrt(design.spread(effect) / units)
    return _plan(design, units, effect, daily)


def _plan(design: Design, units: int, effect: float, daily: float | None) -> Plan:
    relative = effect / abs(design.mean) if design.mean else None
    return Plan(units, effect, relative, units / daily if daily else None)
