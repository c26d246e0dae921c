"""PromQL's functions by name. What is valid PromQL but missing here is refused by the evaluation."""

from windvane.promql.functions import elementwise, histogram, series, window
from windvane.promql.functions.base import Function

REGISTRY: dict[str, Function] = {
    **window.FUNCTIONS,
    **elementwise.FUNCTIONS,
    **series.FUNCTIONS,
    **histogram.FUNCTIONS,
}
