"""What evaluation scripts import: the callables of each half of `windvane.analytics`, by the names they use."""

from detect_adapters import detect, detect_red, forecast, rank_causes
from judge_adapters import cuped, judge_latency, judge_sequential, predict_capacity, srm

__all__ = [
    "cuped", "detect", "detect_red", "forecast", "judge_latency", "judge_sequential", "predict_capacity", "rank_causes",
    "srm",
]  # fmt: skip
