"""Names of a span: columns of `otel_traces`, its attributes in five scopes, and what `service` and `error` mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from windvane.tracing.filters.ast import Equal, FilterError
from windvane.tracing.filters.fields import Attributes, Column, FieldMap
from windvane.tracing.filters.sql import Conditions

KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUSES = ("unset", "ok", "error")

_NAMESPACE_ATTRIBUTES = (
    "ResourceAttributes['service.namespace']",
    "ResourceAttributes['k8s.namespace.name']",
    "SpanAttributes['istio.namespace']",
)
FAILED = "(StatusCode = 'Error' OR hasAllTokens(SearchTokens, ['error=true']))"
"""SQL: the span failed, by its status or by an attribute `error` as tracers before OpenTelemetry set it."""

ATTRIBUTES = {
    "span": Attributes("SpanAttributes", "span."),
    "resource": Attributes("ResourceAttributes", "resource."),
    "scope": Attributes("ScopeAttributes", "scope."),
    "event": Attributes("`Events.Attributes`", "event.", nested=True),
    "link": Attributes("`Links.Attributes`", "link.", nested=True),
}
_KIND = Column("SpanKind", "choice", {kind: kind.capitalize() for kind in KINDS})
_STATUS = Column("StatusCode", "choice", {status: status.capitalize() for status in STATUSES})
_NAME, _SERVICE, _TRACE = Column("SpanName"), Column("ServiceName"), Column("TraceId", "id", digits=32)
COLUMNS = {
    "service": _SERVICE,
    "name": _NAME,
    "operation": _NAME,
    "kind": _KIND,
    "span.kind": _KIND,
    "status": _STATUS,
    "span.status": _STATUS,
    "status.message": Column("StatusMessage"),
    "duration": Column("Duration", "duration"),
    "scope.name": Column("ScopeName"),
    "scope.version": Column("ScopeVersion"),
    "trace": _TRACE,
    "trace_id": _TRACE,
    "span_id": Column("SpanId", "id", digits=16),
    "parent_id": Column("ParentSpanId", "id"),
}


def span_fields(has_plain: Callable[[str], bool] = lambda _: True) -> FieldMap:
    """The names of spans; `has_plain` as in `service_condition`, asked of a service given as `app.namespace`."""

    def service(term: Equal, where: Conditions) -> str:
        return service_condition(where, term.value.text, plain=has_plain(term.value.text))

    return FieldMap(
        columns=COLUMNS,
        attributes=ATTRIBUTES,
        tokens="SearchTokens",
        types="AttributeTypes",
        words=("SpanName", "StatusMessage"),
        rules={"service": service, "error": _error},
    )


def _error(term: Equal, where: Conditions) -> str:
    wanted = term.value.text.lower()
    if wanted in ("true", "false"):
        return FAILED if wanted == "true" else f"NOT {FAILED}"
    raise FilterError(f"error is true or false, not {term.value.text!r}", term.value.at)


def service_condition(
    where: Conditions, service: str, *, plain: bool = True, namespaces: Sequence[str] = _NAMESPACE_ATTRIBUTES
) -> str:
    """The service under the name given, as `app` when asked `app.namespace`, and the other way round.

    Istio's tracers report `app.namespace`, applications mostly `app`; asked for `app`, both are
    meant. Asked for `app.namespace`, plain `app` counts where the span or its resource names that
    namespace (`namespaces`: SQL of where); `plain` False leaves that out, which spares the engine reading attributes.
    """
    either = [f"ServiceName = {where.bind(service)}"]
    app, dot, namespace = service.partition(".")
    if not dot:
        prefix, rest = where.bind(service + "."), len(service.encode()) + 2
        either.append(f"(startsWith(ServiceName, {prefix}) AND position(ServiceName, '.', {rest}) = 0)")
    elif plain and app and namespace and "." not in namespace:
        space = where.bind(namespace)
        named = " OR ".join(f"{attribute} = {space}" for attribute in namespaces)
        either.append(f"(ServiceName = {where.bind(app)} AND ({named}))")
    return "(" + " OR ".join(either) + ")"
