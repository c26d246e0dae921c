"""Where the fields of TraceQL are in the table of spans: SQL for presence, text and type of each."""

from __future__ import annotations

from dataclasses import dataclass

from windvane.tracing.filters.sql import Conditions
from windvane.tracing.traceql.syntax import Attribute, Intrinsic, Scope

SERVICE = "service.name"
"""The attribute that has a column of its own, by which the table is ordered."""
NO_KIND = "''"
"""The type of what is always a string."""
TEXT_COLUMNS = {
    Intrinsic.NAME: "SpanName",
    Intrinsic.STATUS_MESSAGE: "StatusMessage",
    Intrinsic.SPAN_ID: "SpanId",
    Intrinsic.PARENT_ID: "ParentSpanId",
    Intrinsic.TRACE_ID: "TraceId",
    Intrinsic.SCOPE_NAME: "ScopeName",
    Intrinsic.SCOPE_VERSION: "ScopeVersion",
}
TEXT_LISTS = {
    Intrinsic.EVENT_NAME: "`Events.Name`",
    Intrinsic.LINK_TRACE_ID: "`Links.TraceId`",
    Intrinsic.LINK_SPAN_ID: "`Links.SpanId`",
}
MAP_LISTS = {Scope.EVENT: "`Events.Attributes`", Scope.LINK: "`Links.Attributes`"}
TYPE_PREFIXES = {Scope.SPAN: "span.", Scope.RESOURCE: "resource.", Scope.INSTRUMENTATION: "scope."}
_MAPS = {
    Scope.SPAN: "SpanAttributes",
    Scope.RESOURCE: "ResourceAttributes",
    Scope.INSTRUMENTATION: "ScopeAttributes",
}


@dataclass(frozen=True, slots=True)
class Stored:
    """SQL of one attribute: whether it is there, its text, and its type ('' for strings)."""

    present: str
    text: str
    kind: str


def stored(where: Conditions, attribute: Attribute) -> Stored:
    """The SQL of an attribute of a span, its resource or its scope."""
    if attribute.scope is Scope.ANY:
        span = _stored(where, Scope.SPAN, attribute.name)
        resource = _stored(where, Scope.RESOURCE, attribute.name)
        return Stored(
            f"({span.present} OR {resource.present})",
            f"if({span.present}, {span.text}, {resource.text})",
            f"if({span.present}, {span.kind}, {resource.kind})",
        )
    return _stored(where, attribute.scope, attribute.name)


def _stored(where: Conditions, scope: Scope, name: str) -> Stored:
    if scope is Scope.RESOURCE and name == SERVICE:
        return Stored("ServiceName != ''", "ServiceName", NO_KIND)
    column, key = _MAPS[scope], where.bind(name)
    kind = where.bind(TYPE_PREFIXES[scope] + name)
    return Stored(f"mapContains({column}, {key})", f"{column}[{key}]", f"AttributeTypes[{kind}]")
