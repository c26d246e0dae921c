"""The conjunction of conditions that all SQL of TraceQL is built with."""

from windvane.tracing.filters.sql import Conditions

__all__ = ["Conditions"]
