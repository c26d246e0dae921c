"""What every model of a resource shares: how its fields are read, and what is refused and why.

Fields are read as Istio reads them (protojson over YAML): the camelCase name and the proto's
snake_case name both count, `null` means "not set", a oneof holds at most one member, and a field
nobody knows is an error. A field of Istio's API that Windvane does not act on yet is typed
`NotYet`: it is refused with an error of its own kind, so that nobody mistakes silence for support.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, model_validator
from pydantic_core import PydanticCustomError

T = TypeVar("T")

Items = Annotated[tuple[T, ...], Strict(False)]
"""A repeated field: a YAML list, kept as a tuple so that a model cannot change after validation."""

_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


@lru_cache(maxsize=4_096)
def json_name(name: str) -> str:
    """The JSON name that protobuf gives a field: each underscore goes, the character after it is raised."""
    return re.sub("_(.)", lambda match: match[1].upper(), name)


def _seconds(value: object) -> float:
    """Seconds in a Go duration (`1.5s`, `1m30s`, `250ms`), the form that Istio's decoder takes."""
    text = value if isinstance(value, str) else ""
    unsigned = text.removeprefix("-").removeprefix("+")
    parts = list(_DURATION_PART.finditer(unsigned))
    if unsigned != "0" and (not parts or sum(len(part[0]) for part in parts) != len(unsigned)):
        raise PydanticCustomError(
            "duration", "not a duration: {value} (expected for example 1.5s, 250ms, 1m30s)", {"value": repr(value)}
        )
    # The smallest unit is a nanosecond: rounding to it keeps 0.1s + 0.2s what people wrote.
    total = round(sum(float(part[1]) * _UNIT_SECONDS[part[2]] for part in parts), 9)
    return -total if text.startswith("-") else total


def _refuse_not_yet(value: object) -> object:
    raise PydanticCustomError("not_supported", "not supported yet: Istio knows this field, Windvane does not act on it")


Seconds = Annotated[float, BeforeValidator(_seconds)]
NotYet = Annotated[Any, BeforeValidator(_refuse_not_yet)]
Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]
UInt32 = Annotated[int, Field(ge=0, lt=2**32)]
UInt64 = Annotated[int, Field(ge=0, lt=2**64)]
Labels = dict[str, str]


class Model(BaseModel):
    """Base of every message: strict types, no unknown fields, immutable."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=json_name,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )

    one_of: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Groups of fields (Python names) of which at most one may be set: the oneofs of the proto."""

    @model_validator(mode="before")
    @classmethod
    def _as_protojson(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        for name in value:
            camel = json_name(name) if isinstance(name, str) else name
            if camel != name and camel in value:
                raise PydanticCustomError(
                    "duplicate_field", "field {camel} is given twice, also as {name}", {"camel": camel, "name": name}
                )
        return {name: item for name, item in value.items() if item is not None}

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        for group in self.one_of:
            given = [json_name(name) for name in group if name in self.model_fields_set]
            if len(given) > 1:
                raise PydanticCustomError("one_of", "only one of {fields} may be set", {"fields": ", ".join(given)})
        return self


class StringMatch(Model):
    """Matches a string exactly, by prefix or by RE2 regex; with none set, presence alone counts (headers)."""

    one_of = (("exact", "prefix", "regex"),)

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None

    @property
    def is_presence(self) -> bool:
        """Whether no value is asked for, only that there is one."""
        return self.exact is None and self.prefix is None and self.regex is None


class Percent(Model):
    """A share in percent, 0 to 100."""

    value: float = 0.0


class PortSelector(Model):
    """A port by number."""

    number: UInt32 = 0


class LabelSelector(Model):
    """Workloads that carry all of these labels (Istio's `WorkloadSelector` of type v1beta1)."""

    match_labels: Labels = Field(default_factory=dict)


class PolicyTargetReference(Model):
    """A resource that a policy is attached to, in the policy's own namespace."""

    group: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""


class Targetable(Model):
    """A policy's spec that is for workloads by their labels, or for resources that it names."""

    selector: LabelSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: Items[PolicyTargetReference] = ()

    @property
    def targets(self) -> tuple[PolicyTargetReference, ...]:
        """What it names; `targetRef` is an older spelling of `targetRefs` with one element."""
        return self.target_refs or ((self.target_ref,) if self.target_ref is not None else ())
