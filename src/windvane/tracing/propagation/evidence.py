"""Reads the signs of trace formats and languages from stored spans and entries; samples of some thousand rows do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windvane.store.api import Engine
from windvane.tracing.propagation.formats import (
    HEADER_KEY,
    MARKS,
    Certainty,
    Signs,
    header_names,
    language_of_agent,
    language_of_runtime,
)

SAMPLE = 10_000
"""Rows of a question that are looked at."""


@dataclass(frozen=True, slots=True)
class Language:
    """What a workload is written in (a value of telemetry.sdk.language, "" for unknown), and how that is known."""

    name: str = ""
    certainty: Certainty = "unknown"
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What the spans of one service name tell."""

    signs: Signs
    language: Language


_WITHIN = "Timestamp BETWEEN fromUnixTimestamp64Nano({low:Int64}) AND fromUnixTimestamp64Nano({high:Int64})"
_PROXY = "(SpanAttributes['component'] = 'proxy' AND SpanAttributes['node_id'] != '')"
_EPOCH = "toInt64(reinterpretAsUInt32(reverse(unhex(substring(TraceId, 1, 8)))))"
_KEYS = (
    f"arrayFilter(k -> startsWith(k, '{HEADER_KEY}') OR has({list(MARKS)}, k),"
    " arrayConcat(mapKeys(SpanAttributes), mapKeys(ResourceAttributes)))"
)


def _signs_sql(by: str, where: str) -> str:
    return (
        f"SELECT {by} AS Service, count() AS Spans, countIf({_PROXY}) AS Proxies,"
        f" countIf({_PROXY} AND (ScopeName = 'envoy' OR ResourceAttributes['telemetry.sdk.name'] = 'envoy')) AS Otel,"
        " countIf(TraceState != '') AS States, countIf(startsWith(TraceId, '0000000000000000')) AS Short,"
        f" countIf(abs({_EPOCH} - toUnixTimestamp(Timestamp)) < 86400) AS Dated,"
        f" groupUniqArrayArray({_KEYS}) AS Keys, groupUniqArray(ResourceAttributes['telemetry.sdk.name']) AS Sdks,"
        f" groupUniqArrayIf(ResourceAttributes['telemetry.sdk.language'], NOT {_PROXY}) AS Languages,"
        f" groupUniqArrayIf(ResourceAttributes['process.runtime.name'], NOT {_PROXY}) AS Runtimes"
        " FROM (SELECT Timestamp, TraceId, TraceState, ScopeName, ServiceName, SpanAttributes, ResourceAttributes"
        f" FROM otel_traces WHERE {_WITHIN}{where} LIMIT {SAMPLE}) GROUP BY Service SETTINGS max_block_size = 4096"
    )


def signs_of_services(engine: Engine, window: tuple[int, int], services: Iterable[str]) -> dict[str, Told]:
    """What spans tell, by the name of their service; names without spans are left out."""
    names = sorted(set(services))
    if not names:
        return {}
    sql = _signs_sql("toString(ServiceName)", " AND ServiceName IN {services:Array(String)}")
    frame = engine.query(sql, {"low": window[0], "high": window[1], "services": names})
    return {row["Service"]: _told(row) for row in frame.to_dict("records")}


def signs_of_mesh(engine: Engine, window: tuple[int, int]) -> Signs:
    """What all spans tell, with the request headers that access logs record."""
    params = {"low": window[0], "high": window[1]}
    rows = engine.query(_signs_sql("''", ""), params).to_dict("records")
    signs = _told(rows[0]).signs if rows else Signs()
    frame = engine.query(
        "SELECT groupUniqArrayArray(mapKeys(RequestHeaders)) AS Names FROM (SELECT RequestHeaders"
        f" FROM envoy_access_logs WHERE {_WITHIN} LIMIT {SAMPLE})",
        params,
    )
    logged = [str(name) for name in frame["Names"].iloc[0]]
    return merged([signs, Signs(headers=header_names([HEADER_KEY + name for name in logged]))])


def merged(signs: Sequence[Signs]) -> Signs:
    """Signs of several as those of one."""
    values: dict[str, Any] = {}
    for name in Signs.__slots__:
        every = [getattr(one, name) for one in signs]
        values[name] = frozenset().union(*every) if isinstance(getattr(Signs(), name), frozenset) else sum(every)
    return Signs(**values)


def language_of_calls(agents: Iterable[str]) -> Language:
    """What the clients that made calls say of themselves."""
    for agent in agents:
        if name := language_of_agent(agent):
            return Language(name, "likely", f"user-agent of its calls: {agent}")
    return Language()


def _told(row: Mapping[Any, Any]) -> Told:
    keys = [str(key) for key in row["Keys"]]
    signs = Signs(
        spans=int(row["Spans"]), proxies=int(row["Proxies"]), envoy_otel=int(row["Otel"]),
        tracestates=int(row["States"]), short_ids=int(row["Short"]), dated_ids=int(row["Dated"]),
        headers=header_names(keys), keys=frozenset(key for key in keys if not key.startswith(HEADER_KEY)),
        sdks=frozenset(str(one) for one in row["Sdks"] if one),
    )  # fmt: skip
    return Told(signs, _language([str(one) for one in row["Languages"]], [str(one) for one in row["Runtimes"]]))


def _language(languages: Sequence[str], runtimes: Sequence[str]) -> Language:
    for one in sorted(filter(None, languages)):
        return Language(one, "seen", f"telemetry.sdk.language={one}")
    for one in sorted(filter(None, runtimes)):
        if name := language_of_runtime(one):
            return Language(name, "seen", f"process.runtime.name={one}")
    return Language()
