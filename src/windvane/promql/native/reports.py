"""Annotations about native histograms, in Prometheus's words (util/annotations)."""

from __future__ import annotations

from windvane.promql.value import Notes


class Reports:
    """A function's annotations, in Prometheus's words, each placed at its argument."""

    def __init__(self, notes: Notes, place: str) -> None:
        self._notes, self._place = notes, place

    def warn(self, text: str) -> None:
        """A warning."""
        self._notes.warn(f"{text} {self._place}")

    def inform(self, text: str) -> None:
        """An info."""
        self._notes.inform(f"{text} {self._place}")

    def mixed_types(self, metric: str) -> None:
        self.warn(f'encountered a mix of histograms and floats for metric name "{metric}"')

    def mixed_schemas(self, metric: str) -> None:
        self.warn(
            "vector contains a mix of histograms with exponential and custom buckets schemas "
            f'for metric name "{metric}"'
        )

    def not_a_counter(self, metric: str) -> None:
        self.warn(f'this native histogram metric is not a counter: "{metric}"')

    def not_a_gauge(self, metric: str) -> None:
        self.warn(f'this native histogram metric is not a gauge: "{metric}"')

    def ignored_in_range(self, metric: str) -> None:
        self.inform(f'ignored histograms in a range containing both floats and histograms for metric name "{metric}"')

    def ignored_in_aggregation(self, operation: str) -> None:
        self.inform(f"ignored histogram in {operation} aggregation")

    def bounds_reconciled(self, operation: str) -> None:
        self.inform(f"mismatched custom buckets were reconciled during {operation}")

    def hints_collide(self, operation: str) -> None:
        self.warn(f"conflicting counter resets during histogram {operation}")
