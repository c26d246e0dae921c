"""Types of the fields of a Prometheus configuration: durations, sizes, switches, label names, files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationInfo

from windvane.ingest.scrape.yaml_lines import Plain
from windvane.kit.errors import BadInputError
from windvane.kit.values import parse_size

_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
_UNIT_MS = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1_000, 1)
_UNITS = ("y", "w", "d", "h", "m", "s", "ms")
_TRUE = {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"}
_FALSE = {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"}
_CLASSIC_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class Model(BaseModel):
    """A mapping of the file: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def duration_text(seconds: float) -> str:
    """A duration as Prometheus prints it: `1m30s`, `15s`, `250ms`, `0s`."""
    rest = round(seconds * 1000)
    if rest == 0:
        return "0s"
    parts = []
    for unit, size in zip(_UNITS, _UNIT_MS, strict=True):
        exact = unit in {"y", "w", "d"}
        if exact and rest % size:
            continue
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def parse_prometheus_duration(text: str) -> float:
    """Seconds of `1d12h`, `30s`, `250ms` or `0`; units once each, the larger first. `ValueError` otherwise."""
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"not a valid duration string: {text!r}")
    milliseconds = sum(int(count or 0) * size for count, size in zip(match.groups(), _UNIT_MS, strict=True))
    if milliseconds >= 1 << 53:
        raise ValueError("duration out of range")
    return milliseconds / 1000


def _duration(value: Any) -> float:
    if isinstance(value, int | float):
        return float(value)
    return parse_prometheus_duration(_text(value))


def _size(value: Any) -> int:
    if isinstance(value, int):
        return value
    try:
        return parse_size(_text(value))
    except BadInputError as error:
        raise ValueError(error.message) from None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("text was expected")
    return str(value)


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, Plain) and value in _TRUE | _FALSE:
        return value in _TRUE
    raise ValueError(f"true or false was expected, not {value!r}")


def _natural(value: Any) -> int:
    if isinstance(value, int):
        return value
    if isinstance(value, Plain) and value.isascii() and value.isdigit():
        return int(value)
    raise ValueError(f"a whole number from 0 was expected, not {value!r}")


def _real(value: Any) -> float:
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(_text(value))
    except ValueError:
        raise ValueError(f"a number was expected, not {value!r}") from None


def _items(value: Any) -> Any:
    return () if value is None else tuple(value) if isinstance(value, list) else value


def _mapping(value: Any) -> Any:
    return {} if value is None else value


def in_directory(path: str, info: ValidationInfo) -> str:
    """A file name of the configuration, relative to the configuration file."""
    directory = (info.context or {}).get("directory")
    return str(Path(directory) / path) if path and directory is not None else path


def is_classic_label(name: str) -> bool:
    """Whether a label name needs no UTF-8."""
    return _CLASSIC_LABEL.fullmatch(name) is not None


def valid_name(name: str, scheme: str) -> bool:
    """Whether a label name is valid under the scheme `utf8` or `legacy`."""
    return bool(name) and (scheme == "utf8" or is_classic_label(name))


Text = Annotated[str, BeforeValidator(_text)]
Duration = Annotated[float, BeforeValidator(_duration)]
Size = Annotated[int, BeforeValidator(_size)]
Switch = Annotated[bool, BeforeValidator(_switch)]
OptionalSwitch = Annotated[bool | None, BeforeValidator(lambda value: None if value is None else _switch(value))]
Natural = Annotated[int, BeforeValidator(_natural)]
Real = Annotated[float, BeforeValidator(_real)]
FileName = Annotated[str, BeforeValidator(_text), AfterValidator(in_directory)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_items)]
FileNames = Annotated[tuple[FileName, ...], BeforeValidator(_items)]
TextMap = Annotated[dict[Text, Text], BeforeValidator(_mapping)]
LIST = BeforeValidator(_items)
"""For lists of models: an empty value in the file is an empty list."""
