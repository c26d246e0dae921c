"""Hypothesis strategies for whole resources, made from the models' own fields."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from windvane.mesh.models import KINDS, gateway_api
from windvane.mesh.models.base import Seconds
from windvane.mesh.models.metadata import Resource

WORDS = ["a", "b", "v1", "v2", "shop", "other", "reviews", "reviews.shop.svc.cluster.local", "*", "*.example.com",
         "mesh", "shop/edge", "x-user", ":authority", "host", "/", "/a", "GET", "http", "HTTP", "tcp", "5xx", "503",
         "1.2.3.4", "%", "%%", "(", ".*", "", "OK", "é", "a b"]  # fmt: skip
DURATIONS = ["0s", "1ms", "1.5s", "2m", "-1s", "0.1ms"]
NUMBERS = [-1, 0, 1, 2, 80, 81, 100, 200, 503, 65535, 65536, 2**31 - 1]

BODIES = ("spec", "type", "data", "string_data")

Kind = tuple[str, tuple[type[Resource], tuple[str, ...]]]

words = st.sampled_from(WORDS)


def values(annotation: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """JSON-like values for a type; NotYet fields are left out by `messages`."""
    if get_origin(annotation) is Annotated:
        if annotation == Seconds:
            return st.sampled_from(DURATIONS)
        return values(get_args(annotation)[0], depth)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return values(next(part for part in arguments if part is not type(None)), depth)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(values(arguments[0], depth + 1), min_size=1, max_size=2)
    if origin is dict:
        keys = st.sampled_from(["80", "9080"]) if "int" in str(arguments[0]) else words
        return st.dictionaries(keys, values(arguments[1], depth + 1), max_size=2)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return messages(annotation, depth + 1)
    simple = {
        bool: st.booleans(),
        int: st.sampled_from(NUMBERS),
        float: st.sampled_from([-1.0, 0.0, 0.5, 50.0, 101.0]),
        str: words,
    }
    return simple.get(annotation, st.none())


def messages(model: type[BaseModel], depth: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    """A message with all fields that it must have and some of the others."""
    fields = {name: field for name, field in model.model_fields.items() if not _is_not_yet(field)}
    made = {name: values(_annotation(field), depth) for name, field in fields.items()}
    required = {field.alias or name: made[name] for name, field in fields.items() if field.is_required()}
    others = {field.alias or name: made[name] for name, field in fields.items() if not field.is_required()}
    return st.fixed_dictionaries(required, optional=others)


def _is_not_yet(field: FieldInfo) -> bool:
    return any("_refuse_not_yet" in str(part) for part in field.metadata)


def _annotation(field: FieldInfo) -> Any:
    if "_seconds" in f"{field.metadata}{field.annotation}":
        return Seconds
    return field.annotation


def resources_of(kind: Kind) -> st.SearchStrategy[dict[str, Any]]:
    """A resource of a kind whose form is right; what it says may be wrong in any way."""
    name, (model, versions) = kind
    return st.fixed_dictionaries(
        {
            "apiVersion": st.sampled_from(versions),
            "kind": st.just(name),
            "metadata": st.fixed_dictionaries(
                {
                    "name": st.sampled_from(["a", "b", "reviews", "edge"]),
                    "namespace": st.sampled_from(["shop", "other"]),
                }
            ),
            **{name: values(model.model_fields[name].annotation) for name in BODIES if name in model.model_fields},
        }
    )


EVERY_KIND: list[Kind] = [*sorted(KINDS.items()), *sorted(gateway_api.KINDS.items())]

configurations = st.lists(st.sampled_from(EVERY_KIND).flatmap(resources_of), min_size=1, max_size=6)
