"""The few shapes of PromQL that the definitions are made of.

Istio's dashboards tell traffic under mutual TLS from the rest by asking each question twice, and round
rates to a thousandth; `by_tls` and `per_second` are those two habits. Durations are read from the
histogram in milliseconds: Istio stopped writing the one in seconds with its version 1.8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from windvane.dashboards.model import LabelValues, Target, Unit

WINDOW = "[$__rate_interval]"
MTLS = 'connection_security_policy="mutual_tls"'
NOT_MTLS = 'connection_security_policy!="mutual_tls"'

# Whatever moved, over HTTP or TCP: the variables' choices come from both.
TRAFFIC = '__name__=~"istio_requests_total|istio_tcp_sent_bytes_total"'

QUANTILES = ((0.5, "P50"), (0.9, "P90"), (0.95, "P95"), (0.99, "P99"))


def total(metric: str, matchers: str, by: Iterable[str] = (), function: str = "irate") -> str:
    """The sum of the rates of a counter's series, by labels."""
    names = ", ".join(by)
    inner = f"{function}({metric}{{{matchers}}}{WINDOW})"
    return f"sum by ({names}) ({inner})" if names else f"sum({inner})"


def per_second(metric: str, matchers: str, by: Iterable[str] = (), function: str = "irate") -> str:
    """`total`, rounded to a thousandth."""
    return f"round({total(metric, matchers, by, function)}, 0.001)"


def quantile(q: float, histogram: str, matchers: str, by: Iterable[str] = (), function: str = "irate") -> str:
    """A quantile of a histogram with buckets."""
    return f"histogram_quantile({q:.2f}, {total(f'{histogram}_bucket', matchers, [*by, 'le'], function)})"


def success(matchers: str, by: Iterable[str] = (), function: str = "irate") -> str:
    """The share of requests that did not end in a 5xx."""
    names = list(by)
    good = total("istio_requests_total", f'{matchers}, response_code!~"5.*"', names, function)
    return f"{good} / {total('istio_requests_total', matchers, names, function)}"


def by_tls(ask: Callable[[str], str], legend: str) -> tuple[Target, Target]:
    """The same question for traffic under mutual TLS and for the rest; `ask` takes the deciding matcher."""
    return Target(ask(MTLS), f"{legend} (mTLS)"), Target(ask(NOT_MTLS), legend)


def quantiles_by_tls(histogram: str, matchers: str, by: Iterable[str], legend: str) -> tuple[Target, ...]:
    """Four quantiles, under mutual TLS and not."""
    names = list(by)
    return tuple(
        target
        for q, name in QUANTILES
        for target in by_tls(
            lambda tls, q=q: quantile(q, histogram, f"{tls}, {matchers}", names),  # type: ignore[misc]
            f"{legend} {name}",
        )
    )


def values(
    name: str, title: str, label: str, matchers: str = "", *, multi: bool = False, series: str = TRAFFIC
) -> LabelValues:
    """A variable of a label's values on the traffic that `matchers` leave."""
    return LabelValues(name, title, label, "{" + ", ".join(part for part in (series, matchers) if part) + "}", multi)


def column(expr: str, title: str, unit: Unit) -> Target:
    """A column of a table."""
    return Target(expr, title, unit, instant=True)
