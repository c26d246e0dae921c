"""Rows of metrics summed into edges: by number in NumPy, then one Python object an edge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from windvane.topology.identity import UNKNOWN
from windvane.topology.model import Edge, ResponseDetail
from windvane.topology.traffic import Ints, Registry, Traffic, grouped


@dataclass(slots=True)
class Hops:
    """The edges' ends that rows pass: one hop a row, two where a service node is injected."""

    row: Ints
    source: Ints
    target: Ints

    @classmethod
    def of(cls, registry: Registry, pair: Ints) -> Hops:
        source, target, inject = (column[pair] for column in registry.columns()[:3])
        rows = np.arange(len(pair))
        injected = inject >= 0
        return cls(
            np.concatenate([rows, rows[injected]]),
            np.concatenate([source, inject[injected]]),
            np.concatenate([np.where(injected, inject, target), target[injected]]),
        )


class EdgeTable:
    """Rows summed into edges; an edge is (source, target, protocol)."""

    def __init__(self, registry: Registry, rows: Traffic) -> None:
        self._texts = registry.texts
        self._hosts = registry.columns()[3]
        self._hops = Hops.of(registry, rows.pair)
        self._rows = rows
        self._edge, keys = grouped(self._hops.source, self._hops.target, rows.protocol[self._hops.row])
        self._numbers = {key: number for number, key in enumerate(keys)}
        self._weights = rows.values[self._hops.row]

    def __len__(self) -> int:
        return len(self._numbers)

    def edges(self) -> list[Edge]:
        """The edges with their rates and responses."""
        text = self._texts
        edges = [Edge(source, target, text[protocol]) for source, target, protocol in self._numbers]
        code, flags, host = self._rows.code, self._rows.flags, self._hosts[self._rows.pair]
        for (number, shown, flag), value in self._sums(code, flags):
            _add_rate(edges[number], text[shown], value)
            if text[shown]:
                detail = edges[number].responses.setdefault(text[shown], ResponseDetail())
                detail.flags[text[flag] or "-"] = value
        for (number, shown, name), value in self._sums(code, host):
            if text[shown]:
                edges[number].responses[text[shown]].hosts[text[name]] = value
        return edges

    def _sums(self, *columns: Ints) -> Iterator[tuple[tuple[int, ...], float]]:
        """Positive sums by edge and further columns of the rows: ((edge, values of the columns), sum)."""
        group, keys = grouped(self._edge, *(column[self._hops.row] for column in columns))
        sums = np.bincount(group, weights=self._weights)
        return ((key, value) for key, value in zip(keys, sums.tolist(), strict=True) if value > 0)

    def add_security(self, edges: list[Edge]) -> None:
        """The share of mutual TLS in what destinations saw, and the principals with most traffic."""
        received = self._rows.received[self._hops.row]
        weights = np.where(received, self._weights, 0.0)
        total = np.bincount(self._edge, weights=weights, minlength=len(edges))
        mutual = np.where(self._rows.mutual[self._hops.row], weights, 0.0)
        secured = np.bincount(self._edge, weights=mutual, minlength=len(edges))
        for number in np.flatnonzero(total > 0).tolist():
            edges[number].mtls = min(100.0, float(100 * secured[number] / total[number]))
        most: dict[int, float] = {}
        principals = self._rows.source_principal, self._rows.destination_principal
        for (number, source, destination), value in self._sums(*principals):
            if value > most.get(number, 0.0) and self._texts[source] not in ("", UNKNOWN):
                most[number] = value
                edges[number].source_principal = self._texts[source]
                edges[number].destination_principal = self._texts[destination]

    def edge_of(self, registry: Registry, pair: Ints, protocol: Ints) -> tuple[Ints, Ints]:
        """Rows of another metric on these edges: (row, edge) for every hop that is an edge here."""
        hops = Hops.of(registry, pair)
        group, keys = grouped(hops.source, hops.target, protocol[hops.row])
        numbers = np.array([self._numbers.get(key, -1) for key in keys], np.int64)
        edge = numbers[group] if len(numbers) else group
        return hops.row[edge >= 0], edge[edge >= 0]

    def arrivals(self) -> Iterable[tuple[int, ...]]:
        """(pair, node) for every node that traffic arrived at."""
        return grouped(self._rows.pair[self._hops.row], self._hops.target)[1]


def _add_rate(edge: Edge, code: str, value: float) -> None:
    for name in (edge.protocol, _class_of(edge.protocol, code)):
        if name:
            edge.rates[name] = edge.rates.get(name, 0.0) + value


def _class_of(protocol: str, code: str) -> str:
    """The error rate that a code counts to, by Kiali's names; empty for a success."""
    if protocol == "http" and code[:1] in ("3", "4", "5"):
        return f"http{code[0]}xx"
    if protocol == "grpc" and code:
        failed = code[0] in ("4", "5") if len(code) == 3 else code != "0"
        return "grpcErr" if failed else ""
    return ""
