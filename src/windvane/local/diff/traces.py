"""Requests of traces: OTLP's JSON (of the Collector's file exporter, or one document) and Jaeger's.

A call has a span on each side, and where proxies trace a third or fourth. It is counted once: by the asking proxy's
span, which knows who asked; else by the first server span of a service, whose caller is the service of a span above it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from windvane.local.diff.recorded import Recorded
from windvane.local.trial.asking import Header, Kind
from windvane.xds.proxy import workload_key

_KINDS = {2: "server", 3: "client", "SPAN_KIND_SERVER": "server", "SPAN_KIND_CLIENT": "client"}
_HEADER = "http.request.header."
_OWN_HEADERS = {"user_agent": "user-agent", "user_agent.original": "user-agent", "http.user_agent": "user-agent"}
_MOST_ABOVE = 64


@dataclass(slots=True)
class Span:
    """What is needed of a span: attributes as texts, its own and its resource's."""

    trace: str
    identity: str
    parent: str
    kind: str
    attributes: Mapping[str, str]
    resource: Mapping[str, str]

    @property
    def service(self) -> str:
        """Whose span it is, for telling callers from called: the proxy's workload or the resource's service."""
        return ".".join(self.workload)

    @property
    def workload(self) -> tuple[str, str]:
        """Name and namespace of the workload, as far as they are told."""
        node = self.attributes.get("node_id", "")
        if node.count("~") == 3 and "." in node.split("~")[2]:
            name, _, namespace = workload_key(node).rpartition(".")
            return name, namespace
        told = self.resource
        name = told.get("k8s.deployment.name") or told.get("k8s.pod.name") or told.get("service.name", "")
        namespace = told.get("k8s.namespace.name") or told.get("service.namespace", "")
        service, dot, space = name.partition(".")
        if dot and not namespace and "." not in space:  # a proxy's service name is app.namespace
            return service, space
        return name, namespace

    @property
    def is_asking_proxy(self) -> bool:
        """Whether a proxy made it for the request that it sent on."""
        return self.kind == "client" and ("node_id" in self.attributes or self.attributes.get("component") == "proxy")


def is_traces(document: Any) -> bool:
    """Whether a JSON document is of traces."""
    if not isinstance(document, Mapping):
        return False
    return "resourceSpans" in document or "resource_spans" in document or isinstance(document.get("data"), list)


def of_traces(documents: Iterable[Any]) -> tuple[Counter[Recorded], int]:
    """The requests, each with how often it was seen, and how many server spans tell no method or path."""
    spans = {(span.trace, span.identity, span.kind): span for document in documents for span in _spans(document)}
    above: dict[tuple[str, str], Span] = {}
    for span in spans.values():
        # A client and a server may share an id, as in Zipkin's model: the server's span is what others have as parent.
        if span.kind == "server" or (span.trace, span.identity) not in above:
            above[span.trace, span.identity] = span
    found: Counter[Recorded] = Counter()
    skipped = 0
    for span in spans.values():
        parent = above.get((span.trace, span.parent))
        if span.is_asking_proxy:
            recorded = _recorded(span, span)
        elif span.kind == "server" and not _is_counted(span, parent):
            recorded = _recorded(span, _caller(span, above))
        else:
            continue
        if recorded is None:
            skipped += 1
        else:
            found[recorded] += 1
    return found, skipped


def _is_counted(span: Span, parent: Span | None) -> bool:
    """Whether the call of a server span has another span that counts."""
    return parent is not None and (
        parent.is_asking_proxy or (parent.kind == "server" and parent.service == span.service)
    )


def _caller(span: Span, above: Mapping[tuple[str, str], Span]) -> Span | None:
    """The nearest span above that is another service's; None for a request from outside."""
    at: Span | None = span
    for _ in range(_MOST_ABOVE):
        at = above.get((at.trace, at.parent)) if at else None
        if at is None or at.service != span.service:
            return at
    return None


def _recorded(span: Span, caller: Span | None) -> Recorded | None:
    told = span.attributes
    url = urlsplit(_first(told, "http.url", "url.full"))
    service, method = _first(told, "rpc.service"), _first(told, "rpc.method")
    kind: Kind = "grpc" if _first(told, "rpc.system") == "grpc" or "grpc.status_code" in told else "http"
    path = f"/{service}/{method}" if kind == "grpc" and service and method else _path(told, url.path, url.query)
    verb = _first(told, "http.request.method", "http.method") or ("POST" if kind == "grpc" else "")
    authority = _first(told, "http.host") or url.netloc or _address(told)
    if not verb or not path or not authority:
        return None
    source, namespace = caller.workload if caller else ("", "")
    cluster = _first(told, "upstream_cluster.name", "upstream_cluster")
    return Recorded(
        verb.upper(), authority, path, source, namespace,
        cluster=cluster if cluster.startswith("outbound|") else "", headers=_headers(told), kind=kind,
    )  # fmt: skip


def _path(told: Mapping[str, str], path: str, query: str) -> str:
    target = _first(told, "http.target")
    if target:
        return target
    path, query = _first(told, "url.path") or path, _first(told, "url.query") or query
    return f"{path}?{query}" if path and query else path


def _address(told: Mapping[str, str]) -> str:
    host = _first(told, "server.address", "net.host.name")
    port = _first(told, "server.port", "net.host.port")
    return f"{host}:{port}" if host and port else host


def _headers(told: Mapping[str, str]) -> tuple[Header, ...]:
    found = {name[len(_HEADER) :].replace("_", "-"): text for name, text in told.items() if name.startswith(_HEADER)}
    found |= {header: told[name] for name, header in _OWN_HEADERS.items() if told.get(name)}
    return tuple(sorted(found.items()))


def _first(told: Mapping[str, str], *names: str) -> str:
    return next((told[name] for name in names if told.get(name) not in (None, "", "-")), "")


def _spans(document: Any) -> Iterator[Span]:
    if not isinstance(document, Mapping):
        return
    for group in _list(document, "resourceSpans", "resource_spans"):
        resource = _otlp_attributes(group.get("resource", {}))
        for scope in _list(group, "scopeSpans", "scope_spans", "instrumentationLibrarySpans"):
            for span in _list(scope, "spans"):
                yield _otlp_span(span, resource)
    for trace in _list(document, "data"):
        processes = trace.get("processes", {})
        for span in _list(trace, "spans"):
            yield _jaeger_span(span, processes if isinstance(processes, Mapping) else {})


def _list(node: Mapping[str, Any], *names: str) -> list[Mapping[str, Any]]:
    found: list[Any] = next((node[name] for name in names if isinstance(node.get(name), list)), [])
    return [each for each in found if isinstance(each, Mapping)]


def _otlp_span(span: Mapping[str, Any], resource: Mapping[str, str]) -> Span:
    identity, parent = (str(span.get(name) or span.get(other, "")) for name, other in (
        ("spanId", "span_id"), ("parentSpanId", "parent_span_id")))  # fmt: skip
    trace = str(span.get("traceId") or span.get("trace_id", ""))
    return Span(trace, identity, parent, _KINDS.get(span.get("kind", 0), ""), _otlp_attributes(span), resource)


def _otlp_attributes(node: Any) -> dict[str, str]:
    pairs = _list(node, "attributes") if isinstance(node, Mapping) else []
    return {str(each.get("key", "")): _otlp_text(each.get("value")) for each in pairs}


def _otlp_text(value: Any) -> str:
    """A text or number; of a list its first element, as headers are lists."""
    if not isinstance(value, Mapping):
        return ""
    array = value.get("arrayValue", value.get("array_value"))
    if isinstance(array, Mapping):
        return next(map(_otlp_text, _list(array, "values")), "")
    return next((str(each) for each in value.values() if isinstance(each, str | int | float)), "")


def _jaeger_span(span: Mapping[str, Any], processes: Mapping[str, Any]) -> Span:
    references = [each for each in _list(span, "references") if each.get("refType", "CHILD_OF") == "CHILD_OF"]
    parent = str(references[0].get("spanID", "")) if references else str(span.get("parentSpanID") or "")
    process = span.get("process") or processes.get(str(span.get("processID", "")), {})
    resource = _jaeger_tags(process) if isinstance(process, Mapping) else {}
    if isinstance(process, Mapping) and process.get("serviceName"):
        resource.setdefault("service.name", str(process["serviceName"]))
    tags = _jaeger_tags(span)
    kind = tags.get("span.kind", "")
    return Span(str(span.get("traceID", "")), str(span.get("spanID", "")), parent, kind, tags, resource)


def _jaeger_tags(node: Mapping[str, Any]) -> dict[str, str]:
    return {str(each.get("key", "")): str(each.get("value", "")) for each in _list(node, "tags")}
