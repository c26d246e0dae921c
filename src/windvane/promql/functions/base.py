"""What a function may ask of the evaluation that calls it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from windvane.promql.labels import Labels, Pool
from windvane.promql.syntax import Call, Expr, Selector
from windvane.promql.value import Floats, Notes, Sampled, Steps, Times, Value, Vector


@dataclass(frozen=True, slots=True)
class Window:
    """Samples of a range vector without staleness markers, and its windows (ends[i] - span, ends[i]].

    There may be samples outside of all windows; `lookback` says how far outside they may serve its bounds.
    """

    samples: Sampled
    ends: Times
    span: int
    lookback: int = 0


class Evaluation(Protocol):
    """One query being evaluated."""

    @property
    def notes(self) -> Notes:
        """Where warnings go."""

    @property
    def pool(self) -> Pool:
        """The strings of all labels of this query."""

    def vector(self, expr: Expr, steps: Steps) -> Vector:
        """An operand that is an instant vector."""

    def numbers(self, expr: Expr, steps: Steps) -> Floats:
        """An operand that is a scalar, one number a step."""

    def text(self, expr: Expr) -> str:
        """An operand that is a string."""

    def window(self, expr: Expr, steps: Steps) -> Window:
        """An operand that is a range vector: a selector's samples or a subquery's results."""

    def sample_times(self, selector: Selector, steps: Steps) -> Vector:
        """The times (seconds) of the samples that an instant selector finds."""


Function = Callable[[Evaluation, Call, Steps], Value]


def position(expr: Expr) -> str:
    """Where an operand stands, as annotations show it."""
    return str(expr.span)


def constant(pool: Pool, values: Floats) -> Vector:
    """A vector of one series without labels."""
    return Vector(Labels.empty(pool, 1), values.reshape(1, -1), np.ones((1, len(values)), np.bool_))
