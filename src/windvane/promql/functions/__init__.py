"""PromQL's functions by name. What is valid PromQL but missing here is refused by the evaluation."""

from windvane.promql.functions import edges, elementwise, histogram, info, series, window
from windvane.promql.functions.base import Function
from windvane.promql.syntax import Edges

REGISTRY: dict[str, Function] = {
    **window.FUNCTIONS,
    **elementwise.FUNCTIONS,
    **series.FUNCTIONS,
    **histogram.FUNCTIONS,
    **info.FUNCTIONS,
}
for _name in edges.FUNCTIONS[Edges.ANCHORED]:
    REGISTRY[_name] = edges.or_edges(REGISTRY[_name])
