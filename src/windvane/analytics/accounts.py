"""Calls as accounts: for every service and every way to one, its requests, failures and milliseconds by the minute."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from windvane.analytics.mesh_series import CallSeries, Service, name_of
from windvane.analytics.seasonal import Floats


@dataclass(frozen=True, slots=True)
class Node:
    """A service, or (with a caller) the way from that caller to it."""

    service: Service
    caller: Service | None = None

    @property
    def name(self) -> str:
        return name_of(self.service) if self.caller is None else f"{name_of(self.caller)} → {name_of(self.service)}"


@dataclass(frozen=True, slots=True)
class Window:
    """Minutes by their place: known from `first`, usual up to `clean`, "now" from `split` on.

    `began`: the first of the bad minutes that lead up to "now", where they lie before it.
    """

    first: int
    clean: int
    split: int
    began: int | None = None


@dataclass(slots=True)
class Account:
    """A row each, NaN where a minute is unknown."""

    requests: Floats
    errors: Floats
    milliseconds: Floats

    def of(self, signal: str) -> Floats:
        """Share that failed, or milliseconds a call; NaN without calls."""
        row = self.errors if signal == "errors" else self.milliseconds
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.requests > 0, row / self.requests, np.nan)

    def share_before(self, window: Window) -> float:
        """Share of the usual minutes' calls that failed, all together."""
        requests = total(self.requests[window.first : window.clean])
        return total(self.errors[window.first : window.clean]) / requests if requests > 0 else 0.0


def accounts(calls: Iterable[CallSeries]) -> dict[Node, Account]:
    """A destination's reports are the service's, a source's its way's."""
    found: dict[Node, Account] = {}
    for one in calls:
        node = Node(one.callee) if one.reporter == "destination" else Node(one.callee, one.caller)
        account = found.get(node)
        if account is None:
            found[node] = Account(one.requests.copy(), one.errors.copy(), one.milliseconds.copy())
        else:
            account.requests = added(account.requests, one.requests)
            account.errors = added(account.errors, one.errors)
            account.milliseconds = added(account.milliseconds, one.milliseconds)
    return found


def added(one: Floats, other: Floats) -> Floats:
    """The sum, where one at least is known."""
    both = np.nan_to_num(one) + np.nan_to_num(other)
    return np.where(np.isfinite(one) | np.isfinite(other), both, np.nan)


def total(values: Floats) -> float:
    """The sum of what is known."""
    return float(values[np.isfinite(values)].sum())


def usual_rate(account: Account, window: Window) -> float:
    """Calls a minute, the median of the usual minutes; a minute without any counts as none once it was called."""
    before = account.requests[window.first : window.clean]
    known = np.flatnonzero(np.isfinite(before))
    return float(np.median(np.nan_to_num(before[known[0] :]))) if len(known) else 0.0
