"""Who sends what: users, their journeys and the shape of their day, a scenario's `traffic.yaml`."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from windvane.kit.errors import BadInputError
from windvane.kit.values import parse_duration, parse_size


def _text(parse: Callable[[str], float]) -> BeforeValidator:
    def read(value: Any) -> Any:
        try:
            return parse(value) if isinstance(value, str) else value
        except BadInputError as error:
            raise ValueError(error.message) from None

    return BeforeValidator(read)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Journey(_Strict):
    """One kind of request; `share` is relative to the others of the same user."""

    path: Annotated[str, Field(pattern=r"^/\S*$")]
    method: Annotated[str, Field(pattern="^[A-Z]+$")] = "GET"
    bytes: Annotated[int, _text(parse_size), Field(ge=0, le=16 << 20)] = 0
    share: Annotated[float, Field(gt=0)] = 1.0


class User(_Strict):
    """A type of user: its name goes into the header `end-user`, its share of requests is relative."""

    name: str
    share: Annotated[float, Field(gt=0)] = 1.0
    headers: dict[str, str] = {}
    journeys: Annotated[tuple[Journey, ...], Field(min_length=1)]


class Day(_Strict):
    """The daily shape: a sine around the mean rate, `trough` of it at the quietest hour. A run begins at the mean."""

    length: Annotated[float, _text(parse_duration), Field(gt=0)] = 86_400.0
    trough: Annotated[float, Field(ge=0, le=1)] = 0.4

    def factor(self, seconds: float) -> float:
        """The rate at a time since the start, relative to the mean; its mean over a day is 1."""
        return 1 + (1 - self.trough) * math.sin(2 * math.pi * seconds / self.length)

    @property
    def peak(self) -> float:
        return 2 - self.trough


class TrafficProfile(_Strict):
    """Who sends what: a scenario's `traffic.yaml`."""

    day: Day = Day()
    users: Annotated[tuple[User, ...], Field(min_length=1)] = (User(name="visitor", journeys=(Journey(path="/"),)),)

    @classmethod
    def load(cls, path: Path) -> TrafficProfile:
        """Read a file; BadInputError names it and the wrong field."""
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
        except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
            raise BadInputError(f"{path}: {error}") from None
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()
            )
            raise BadInputError(f"{path}: {wrong}") from None
