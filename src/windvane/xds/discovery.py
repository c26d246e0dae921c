"""The two messages of the discovery protocol, read and written by hand.

A proxy sends a request for every response it gets, and a response is mostly resources that are
encoded already: the general machinery would cost milliseconds a message where this costs microseconds.
Field numbers are those of `envoy.service.discovery.v3`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from windvane.kit.errors import BadInputError
from windvane.xds.encoding import varint
from windvane.xds.resources import Resource

_VERSION, _NODE, _NAMES, _TYPE, _NONCE, _ERROR = 1, 2, 3, 4, 5, 6
_NODE_ID, _ERROR_MESSAGE = 1, 2
_FIXED = {1: 8, 5: 4}


@dataclass(frozen=True, slots=True)
class Request:
    """A DiscoveryRequest. `node_id` is empty when the node is not named; `rejection` is None in an ACK."""

    type_url: str
    version: str = ""
    nonce: str = ""
    names: tuple[str, ...] = ()
    node_id: str = ""
    rejection: str | None = None


def parse_request(raw: bytes) -> Request:
    """Read a DiscoveryRequest; BadInputError when the bytes are none."""
    texts = {_VERSION: "", _TYPE: "", _NONCE: ""}
    names: dict[str, None] = {}
    node_id, rejection = "", None
    try:
        for number, value in _fields(raw):
            if number in texts:
                texts[number] = value.decode()
            elif number == _NAMES:
                names[value.decode()] = None
            elif number == _NODE:
                node_id = _text(value, _NODE_ID)
            elif number == _ERROR:
                rejection = _text(value, _ERROR_MESSAGE)
    except (IndexError, UnicodeDecodeError) as error:
        raise BadInputError(f"not a DiscoveryRequest: {error}") from error
    return Request(texts[_TYPE], texts[_VERSION], texts[_NONCE], tuple(names), node_id, rejection)


def response(type_url: str, resources: Iterable[Resource], version: str, nonce: str) -> bytes:
    """Write a DiscoveryResponse."""
    texts = ((1, version), (4, type_url), (5, nonce))
    head = (varint(number << 3 | 2) + varint(len(text)) + text.encode() for number, text in texts)
    return b"".join([*head, *(part for each in resources for part in each.frame)])


def _text(message: bytes, wanted: int) -> str:
    found = ""
    for number, value in _fields(message):
        if number == wanted:
            found = value.decode()
    return found


def _fields(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a message; others are skipped. IndexError where the bytes end too early."""
    at = 0
    while at < len(raw):
        key, at = _integer(raw, at)
        wire = key & 7
        if wire == 2:
            length, at = _integer(raw, at)
            if at + length > len(raw):
                raise IndexError("a field is longer than its message")
            yield key >> 3, raw[at : at + length]
            at += length
        elif wire == 0:
            _, at = _integer(raw, at)
        elif wire in _FIXED:
            at += _FIXED[wire]
            if at > len(raw):
                raise IndexError("a field is longer than its message")
        else:
            raise IndexError(f"wire type {wire} does not exist")


def _integer(raw: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise IndexError("a number has more than ten bytes")
