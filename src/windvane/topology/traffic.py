"""Istio's metrics as columns of small integers, ready to be summed into edges.

A `Registry` gives numbers to the nodes and pairs of ends that series name (each distinct label set
is looked at once, in Python); everything per series stays in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from windvane.promql.engine import QueryEngine
from windvane.promql.labels import Labels, Pool, group_rows
from windvane.promql.value import VectorResult
from windvane.topology.identity import LABELS, UNKNOWN, Ends, NodeKey, resolve
from windvane.topology.model import GraphQuery

Ask = Callable[[str, int], VectorResult]
"""A PromQL instant query at a time in milliseconds."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

NO_RESPONSE = "-"
MUTUAL_TLS = "mutual_tls"
_ALWAYS = ("reporter", *LABELS)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Rates of one metric, a row a series; protocol, code and flags are codes in the registry's pool.

    `pair` numbers the registry's pairs; `received` tells the destination's report from the
    source's; `mutual` is where the destination saw mutual TLS.
    """

    pair: Ints
    received: Mask
    protocol: Ints
    code: Ints
    flags: Ints
    mutual: Mask
    source_principal: Ints
    destination_principal: Ints
    values: Floats

    def take(self, rows: Mask) -> Traffic:
        """The chosen rows."""
        return Traffic(*(getattr(self, name)[rows] for name in Traffic.__slots__))


def asker(engine: QueryEngine) -> Ask:
    """Instant queries to a PromQL engine."""

    def ask(query: str, time_ms: int) -> VectorResult:
        value = engine.instant(query, time_ms).value
        assert isinstance(value, VectorResult)
        return value

    return ask


class Registry:
    """Numbers for nodes, for pairs of ends, and for texts."""

    def __init__(self, query: GraphQuery) -> None:
        self.query = query
        self.texts = Pool()
        self.nodes: list[NodeKey] = []
        self.pairs: list[Ends] = []
        self._node_numbers: dict[str, int] = {}
        self._numbers: dict[tuple[str, ...], int] = {}
        self._pair_numbers: dict[tuple[str, ...], int] = {}
        self._ends: list[tuple[int, int, int, int, bool, bool]] = []

    def pairs_of(self, labels: Labels) -> Ints:
        """The pair that each series connects; -1 where it is left out."""
        group, first = labels.keep(LABELS).groups()
        if not len(first):
            return np.zeros(0, np.int64)
        distinct = labels.take(first)
        names = zip(*(distinct.values(name) for name in LABELS), strict=True)
        return np.fromiter(map(self._pair, names), np.int64, len(first))[group]

    def _pair(self, names: tuple[str, ...]) -> int:
        number = self._numbers.get(names)
        if number is None:
            ends = resolve(names, self.query.graph_type, self.query.root_namespace)
            number = -1 if ends is None else self._pair_numbers.setdefault(_same(ends), len(self.pairs))
            if ends is not None and number == len(self.pairs):
                self._add(ends)
            self._numbers[names] = number
        return number

    def _add(self, ends: Ends) -> None:
        inject = ends.inject if self.query.injects else None
        nodes = (self.node(ends.source), self.node(ends.destination), -1 if inject is None else self.node(inject))
        self._ends.append((*nodes, self.texts.code(ends.host), *self._wanted(ends)))
        self.pairs.append(ends)

    def node(self, key: NodeKey) -> int:
        """The number of a node, new if need be."""
        number = self._node_numbers.setdefault(key.id, len(self.nodes))
        if number == len(self.nodes):
            self.nodes.append(key)
        return number

    def _wanted(self, ends: Ends) -> tuple[bool, bool]:
        """Whether the destination's and the source's report of a pair belong to the namespaces asked for.

        The destination reports what reached a workload there; the source what left one there, and
        what was meant for a service there but reached no workload at all.
        """
        spaces = self.query.namespaces
        if spaces is None:
            return True, True
        received, sent = ends.workload.namespace in spaces, ends.source.namespace in spaces
        if ends.workload.namespace == ends.workload.name == UNKNOWN:
            sent = sent or any(ends.host.find(f".{space}.") > 0 for space in spaces)
        return received, sent

    def columns(self) -> tuple[Ints, Ints, Ints, Ints, Mask, Mask]:
        """Per pair: source, destination, injected service (or -1), host, wanted when received, when sent."""
        table = np.array(self._ends, np.int64).reshape(-1, 6)
        source, destination, inject, host, received, sent = table.T
        return source, destination, inject, host, received != 0, sent != 0

    def codes(self, labels: Labels, name: str, change: Callable[[str], str] = str) -> Ints:
        """One label of each series as codes of this registry's pool, changed on the way."""
        distinct, inverse = np.unique(labels.column(name), return_inverse=True)
        texts = self.texts.codes(change(labels.pool[code]) for code in distinct.tolist())
        return texts.astype(np.int64)[inverse.reshape(-1)]


def grouped(*columns: Ints) -> tuple[Ints, list[tuple[int, ...]]]:
    """For each row the number of its combination of values, and the combinations in order of appearance."""
    table = np.stack(columns, axis=1).astype(np.int32)
    group, first = group_rows(np.ascontiguousarray(table))
    return group, list(zip(*(column[first].tolist() for column in columns), strict=True))


def _same(ends: Ends) -> tuple[str, ...]:
    """What makes two label sets one pair: a cluster that one reporter did not know does not divide them."""
    return ends.source.id, ends.destination.id, ends.host, ends.service.name if ends.service else ""


def requests(ask: Ask, registry: Registry) -> Traffic:
    """`istio_requests_total` as rates, both reporters, with the code that Kiali would show."""
    by = (
        "request_protocol",
        "response_code",
        "grpc_response_status",
        "response_flags",
        "connection_security_policy",
        "source_principal",
        "destination_principal",
    )
    result = ask(_sum_of_rates("istio_requests_total", registry.query.window_s, by), registry.query.time_ms)
    labels = result.labels
    three = labels.keep(by[:3])
    group, first = three.groups()
    shown = registry.texts.codes(shown_code(row) for row in three.take(first).dicts()).astype(np.int64)
    return _traffic(registry, result, registry.codes(labels, "request_protocol"), shown[group])


def tcp_bytes(ask: Ask, registry: Registry, metric: str) -> Traffic:
    """A TCP byte counter as rates."""
    by = ("response_flags", "connection_security_policy", "source_principal", "destination_principal")
    result = ask(_sum_of_rates(metric, registry.query.window_s, by), registry.query.time_ms)
    return _constant(registry, result, "tcp", NO_RESPONSE)


def grpc_messages(ask: Ask, registry: Registry, metric: str) -> Traffic:
    """A gRPC message counter as rates; messages have no response code of their own."""
    result = ask(_sum_of_rates(metric, registry.query.window_s, ()), registry.query.time_ms)
    return _constant(registry, result, "grpc", "")


def _sum_of_rates(metric: str, window_s: int, by: tuple[str, ...]) -> str:
    return f"sum by ({', '.join((*_ALWAYS, *by))}) (rate({metric}[{window_s}s]))"


def shown_code(labels: dict[str, str]) -> str:
    """The HTTP code, or a gRPC status where the transport itself did not fail; `-` for no response."""
    code, status = labels.get("response_code", ""), labels.get("grpc_response_status", "")
    if code == "0":
        return NO_RESPONSE
    return status if labels.get("request_protocol") == "grpc" and status and code[:1] not in ("4", "5") else code


def _constant(registry: Registry, result: VectorResult, protocol: str, code: str) -> Traffic:
    size = len(result.values)
    return _traffic(
        registry,
        result,
        np.full(size, registry.texts.code(protocol), np.int64),
        np.full(size, registry.texts.code(code), np.int64),
    )


def _traffic(registry: Registry, result: VectorResult, protocol: Ints, code: Ints) -> Traffic:
    labels = result.labels
    received = _equals(labels, "reporter", "destination")
    traffic = Traffic(
        pair=registry.pairs_of(labels),
        received=received,
        protocol=protocol,
        code=code,
        flags=registry.codes(labels, "response_flags"),
        mutual=received & _equals(labels, "connection_security_policy", MUTUAL_TLS),
        source_principal=registry.codes(labels, "source_principal"),
        destination_principal=registry.codes(labels, "destination_principal"),
        values=np.nan_to_num(result.values),
    )
    return traffic.take(traffic.pair >= 0)


def _equals(labels: Labels, name: str, text: str) -> Mask:
    column = labels.column(name)
    wanted = [code for code in np.unique(column).tolist() if labels.pool[code] == text]
    return np.isin(column, wanted)


def of_graph(traffic: Traffic, registry: Registry) -> Traffic:
    """What counts for the graph: the namespaces asked for, and one report of what both sides saw.

    Of a series (ends, protocol, code, flags) the destination's report counts; the source's where
    the destination has none, which is what never reached it.
    """
    _, _, _, _, when_received, when_sent = registry.columns()
    wanted = np.where(traffic.received, when_received[traffic.pair], when_sent[traffic.pair])
    if not registry.query.include_idle:
        wanted &= traffic.values > 0
    traffic = traffic.take(wanted)
    group, keys = grouped(traffic.pair, traffic.protocol, traffic.code, traffic.flags)
    reached = np.zeros(len(keys), np.bool_)
    reached[group[traffic.received & (traffic.values > 0)]] = True
    return traffic.take(traffic.received | ~reached[group])
