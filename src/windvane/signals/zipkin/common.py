"""What Zipkin's formats share: endpoints, annotations, and which tags describe the process."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from windvane.kit.errors import BadInputError
from windvane.signals.refusals import RefusedError
from windvane.signals.spans.model import Event, Span, Tags, wrong

ABSENT_START = "otel.zipkin.absentField.startTime"
_NAME_SOURCE = "otlp.service.name.source"
# First words of OpenTelemetry's resource attributes: exporters to Zipkin can only send them as tags.
_RESOURCE = ("cloud", "container", "deployment", "device", "host", "k8s", "os", "process", "service", "telemetry",
             "webengine")  # fmt: skip
_LONGEST_EVENT = 1 << 16  # longer ones are texts
_MOST_KEPT, _SHORT = 16_384, 64
_TEXTS = frozenset({str})
_of_spans: set[str] = set()


class Endpoint(NamedTuple):
    """A node; what is unknown is empty or 0."""

    service: str = ""
    ipv4: str = ""
    ipv6: str = ""
    port: int = 0

    @property
    def address(self) -> str:
        """IPv4 first, as Zipkin prefers it."""
        return self.ipv4 or self.ipv6


NOWHERE = Endpoint()


@lru_cache(maxsize=4_096)
def ip(text: str) -> str:
    """An address in its usual form; empty when it is none."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def hexadecimal(value: Any, size: int, name: str) -> bytes:
    """Up to `size` bytes of an id in hex, filled up with zeros to 8 or 16 bytes."""
    try:
        raw = bytes.fromhex(value if len(value) % 16 == 0 else value.zfill(16 if len(value) < 16 else 32))
    except (TypeError, ValueError, AttributeError):
        raw = b""
    if len(raw) not in (8, size) or " " in value:
        raise wrong(name, value, f"1 to {2 * size} hexadecimal digits")
    return raw


def endpoint(value: Any, name: str) -> Endpoint:
    """An endpoint from JSON; addresses that are none are left out, as Zipkin does."""
    if value is None:
        return NOWHERE
    if not isinstance(value, dict):
        raise wrong(name, value, "an object")
    get = value.get
    service, ipv4, ipv6, port = get("serviceName") or "", get("ipv4") or "", get("ipv6") or "", get("port") or 0
    if not (isinstance(service, str) and isinstance(ipv4, str) and isinstance(ipv6, str)):
        raise wrong(name, value, "texts for serviceName, ipv4 and ipv6")
    if type(port) is not int:
        port = _port(port, name)
    return _endpoint(service, ipv4[:64], ipv6[:64], port & 0xFFFF)  # v1's port was a signed 16-bit number


@lru_cache(maxsize=1_024)
def _endpoint(service: str, ipv4: str, ipv6: str, port: int) -> Endpoint:
    return Endpoint(service, ipv4 and ip(ipv4), ipv6 and ip(ipv6), port)


def _port(value: Any, name: str) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise wrong(f"{name}.port", value, "a number") from None


def describe(span: Span, local: Endpoint, remote: Endpoint) -> None:
    """Write the two ends into a span's tags and resource; tags that the sender gave win."""
    tags = span.tags
    _add(tags, "net.host.ip", local.address)
    _add(tags, "net.host.port", local.port)
    _add(tags, "peer.service", remote.service)
    _add(tags, "net.peer.ip", remote.address)
    _add(tags, "net.peer.port", remote.port)
    if local.service:
        source = tags.pop(_NAME_SOURCE, "service.name")
        span.resource[str(source)] = local.service
    for key in sorted(_resource_keys(tags)):
        span.resource[key] = tags.pop(key)


def _add(tags: Tags, key: str, value: str | int) -> None:
    if value and key not in tags:
        tags[key] = value


def _resource_keys(tags: Tags) -> list[str]:
    """The keys that describe the process; keys that do not are remembered, since they come with every span."""
    found = []
    for key in tags.keys() - _of_spans:
        if "." in key and key.partition(".")[0] in _RESOURCE:
            found.append(key)
        elif len(key) <= _SHORT and len(_of_spans) < _MOST_KEPT:
            _of_spans.add(key)
    return found


def event(time: int, value: Any) -> Event:
    """An annotation; exporters of OpenTelemetry put an event's attributes behind or around its name."""
    if not isinstance(value, str):
        raise wrong("annotation.value", value, "a string")
    if "{" in value and len(value) < _LONGEST_EVENT:
        for name, text in _named(value):
            try:
                return Event(time, name, tags(orjson.loads(text)))
            except (orjson.JSONDecodeError, RefusedError):
                continue
    return Event(time, value)


def _named(value: str) -> Iterator[tuple[str, str]]:
    """What may be a name and a JSON object: `{"name": {…}}`, `"name": {…}`, `name: {…}`, `name|{…}|dropped`."""
    wrapped = value[1:-1] if value[0] == "{" and value[-1] == "}" else value
    name, colon, rest = wrapped.partition(":")
    if colon and rest.lstrip().startswith("{"):
        yield name.strip().strip('"'), rest
    name, bar, rest = value.partition("|")
    if bar and rest.startswith("{"):
        yield name, rest.rpartition("|")[0]


def tags(value: Any) -> Tags:
    """Tags from JSON: texts by the book, numbers and truth as senders have them, the rest as JSON text."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong("tags", value, "an object")
    if _TEXTS.issuperset(map(type, value.values())):
        return value
    return {key: _scalar(item) for key, item in value.items() if item is not None}


def _scalar(value: Any) -> str | bool | int | float:
    return value if isinstance(value, str | bool | int | float) else orjson.dumps(value).decode()


def decoded(body: bytes) -> list[Any]:
    """The list of spans that a JSON body is."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadInputError(f"not Zipkin's JSON: {error}") from None
    if not isinstance(value, list):
        raise BadInputError(f"not Zipkin's JSON: expected a list of spans, got {type(value).__name__}")
    return value


def absent_start(span: Span, now_ns: int) -> None:
    """Give a span without a time the one of its first event, or of its arrival, and tell so."""
    begin = min((each.time for each in span.events if each.time), default=now_ns)
    span.start, span.end = begin, begin + span.end
    span.tags[ABSENT_START] = True
