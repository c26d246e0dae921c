"""YAML files of rules and of their tests: durations and numbers are written as Prometheus reads them."""

from __future__ import annotations

from windvane.alerting.durations import parse_duration
from windvane.kit.strict_yaml import Document
from windvane.promql import numbers


def open_document(file: str) -> Document:
    """A file to be read."""
    return Document(file, duration=parse_duration, number=_number)


def _number(text: str) -> float:
    value = numbers.parse(text)
    if value is None:
        raise ValueError(text)
    return value
