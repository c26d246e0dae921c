"""Native histograms as the JSON that Prometheus writes.

Format: https://prometheus.io/docs/prometheus/latest/querying/api/#native-histograms. A bucket is
[boundaries, lower, upper, count]; boundaries says which bounds belong to it: 0 the upper, 1 the
lower, 2 none, 3 both. Empty buckets are left out.
"""

from __future__ import annotations

from windvane.promql import numbers
from windvane.promql.native.histogram import Histogram

_BOUNDARIES = {(False, True): 0, (True, False): 1, (False, False): 2, (True, True): 3}


def histogram_json(histogram: Histogram) -> bytes:
    """One histogram as a JSON object."""
    shown = [f'"count":"{numbers.json(histogram.count)}","sum":"{numbers.json(histogram.sum)}"']
    buckets = histogram.buckets().populated()
    if len(buckets.count):
        texts = []
        for lower, upper, count in buckets.rows():
            boundaries = _BOUNDARIES[histogram.inclusive(lower, upper)]
            bounds = f'"{numbers.json(lower)}","{numbers.json(upper)}"'
            texts.append(f'[{boundaries},{bounds},"{numbers.json(count)}"]')
        shown.append(f'"buckets":[{",".join(texts)}]')
    return f"{{{','.join(shown)}}}".encode()
