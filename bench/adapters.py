"""What evaluation scripts import: the callables of each half of `windvane.analytics`, by the names they use."""

from judge_adapters import cuped, judge_latency, judge_sequential, predict_capacity, srm

__all__ = ["cuped", "judge_latency", "judge_sequential", "predict_capacity", "srm"]
