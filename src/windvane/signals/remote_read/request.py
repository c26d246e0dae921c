"""What a remote read asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from windvane.kit.errors import BadInputError
from windvane.signals import protobuf

_MOST_QUERIES = 1_000
_MOST_MATCHERS = 1_000


class ResponseType(IntEnum):
    """How samples travel."""

    SAMPLES = 0
    STREAMED_XOR_CHUNKS = 1


@dataclass(frozen=True, slots=True)
class LabelMatcher:
    """A condition on a label; `kind` is 0 for =, 1 for !=, 2 for =~, 3 for !~."""

    kind: int
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class ReadQuery:
    """Samples of series that satisfy all matchers, at times in [start, end] (ms)."""

    start: int
    end: int
    matchers: tuple[LabelMatcher, ...]


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """All queries of a request, and the known response types it accepts, the best first."""

    queries: tuple[ReadQuery, ...]
    accepted: tuple[ResponseType, ...] = (ResponseType.SAMPLES,)


def decode(raw: bytes) -> ReadRequest:
    """A ReadRequest message; `BadInputError` when it is none."""
    queries: list[ReadQuery] = []
    accepted: list[int] = []
    for number, wire, value in protobuf.fields(raw):
        if number == 1:
            queries.append(_query(protobuf.block(value)))
        elif number == 2:
            accepted += protobuf.varints(wire, value)
        if len(queries) > _MOST_QUERIES:
            raise BadInputError(f"a remote read asks more than {_MOST_QUERIES} queries")
    return ReadRequest(tuple(queries), _known(accepted))


def _known(accepted: Sequence[int]) -> tuple[ResponseType, ...]:
    known = tuple(ResponseType(number) for number in accepted if number in (0, 1))
    if accepted and not known:
        raise BadInputError(f"server does not support any of the requested response types: {list(accepted)}")
    return known or (ResponseType.SAMPLES,)


def _query(raw: bytes) -> ReadQuery:
    start = end = 0
    matchers: list[LabelMatcher] = []
    for number, _, value in protobuf.fields(raw):
        if number == 1:
            start = protobuf.signed(value)
        elif number == 2:
            end = protobuf.signed(value)
        elif number == 3:
            matchers.append(_matcher(protobuf.block(value)))
    if len(matchers) > _MOST_MATCHERS:
        raise BadInputError(f"a query of a remote read has more than {_MOST_MATCHERS} matchers")
    return ReadQuery(start, end, tuple(matchers))


def _matcher(raw: bytes) -> LabelMatcher:
    kind, name, text = 0, "", ""
    for number, _, value in protobuf.fields(raw):
        if number == 1:
            kind = protobuf.whole(value)
        elif number == 2:
            name = protobuf.text(value)
        elif number == 3:
            text = protobuf.text(value)
    if kind > 3:
        raise BadInputError(f"invalid matcher type {kind}")
    return LabelMatcher(kind, name, text)
