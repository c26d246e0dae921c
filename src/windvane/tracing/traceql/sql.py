"""The conjunction of conditions that all SQL of TraceQL is built with."""

from windvane.tracing.search import Conditions

__all__ = ["Conditions"]
