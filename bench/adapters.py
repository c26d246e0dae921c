"""What evaluation scripts import: the callables of each half of `windvane.analytics`, by the names they use."""

from detect_adapters import detect_red, forecast, rank_causes

__all__ = ["detect_red", "forecast", "rank_causes"]
