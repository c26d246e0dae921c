"""Protobuf's merge, as Istio's patches use it: what is set replaces, lists grow, maps and messages are merged.

A duration or wrapped scalar is one value and replaced. An `Any` is replaced as well: where Istio looks into one, the
caller does (`merge_any`).
"""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any, TypeVar, cast

import betterproto2
from envoy_data_plane.google import protobuf

from windvane.kit.protojson import message_type
from windvane.xds.encoding import any_of

M = TypeVar("M", bound=betterproto2.Message)


def merge(target: betterproto2.Message, patch: betterproto2.Message) -> None:
    """Merge a message into another of its kind, in place."""
    facts = cast("Any", type(patch))._betterproto
    for name, meta in facts.meta_by_field_name.items():
        value = getattr(patch, name)
        if value is None or (not meta.optional and value == facts_default(patch, name)):
            continue
        if meta.group:
            _clear_others(target, facts, meta.group, name)
        setattr(target, name, _merged(getattr(target, name), value))


def facts_default(message: betterproto2.Message, name: str) -> object:
    """The value that a field without presence has when nobody set it."""
    return message._get_field_default(name)


def _merged(before: Any, value: Any) -> Any:
    if isinstance(value, list):
        return [*before, *copy.deepcopy(value)]
    if isinstance(value, dict):
        return {**before, **copy.deepcopy(value)}
    if isinstance(value, protobuf.Any) or not isinstance(value, betterproto2.Message):
        return copy.deepcopy(value)
    if isinstance(value, timedelta) or before is None:
        return copy.deepcopy(value)
    merge(before, value)
    return before


def _clear_others(target: betterproto2.Message, facts: Any, group: str, name: str) -> None:
    """Of a oneof only the field that is set last stays."""
    for other, meta in facts.meta_by_field_name.items():
        if meta.group == group and other != name:
            setattr(target, other, None)


def merge_any(target: protobuf.Any, patch: protobuf.Any) -> protobuf.Any | None:
    """The merged content of two of the same type; None where the types differ or are not Envoy's."""
    kind = message_type(target.type_url)
    if kind is None or target.type_url != patch.type_url:
        return None
    merged = kind.parse(target.value)
    merge(merged, kind.parse(patch.value))
    return any_of(merged)
