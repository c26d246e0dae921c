"""Answers from many traces: critical paths, flame graphs, differences, and what fails, repeats or is slow.

Spans are columns here (`spans.Spans`), read by `load`; everything else is pure functions over them,
or one query. Nothing holds a Python object a span, so thousands of traces are a matter of a second.
"""
