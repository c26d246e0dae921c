"""Search of lines against plain Python over the same lines: language, index, order, pages, counts, completion."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from telemetry_rows import store_entries, store_logs

from windvane.kit.errors import BadInputError
from windvane.store.api import Engine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.tracing.filters.ast import FilterError
from windvane.tracing.filters.parse import parse
from windvane.tracing.logs.completion import fields
from windvane.tracing.logs.histogram import BYS, histogram
from windvane.tracing.logs.lines import Line
from windvane.tracing.logs.places import Cursor, Place, windows
from windvane.tracing.logs.search import LineQuery, find
from windvane.tracing.logs.sources import SEVERITIES, chosen

NOW = 1_790_000_000 * 10**9
HOUR = 3_600 * 10**9
WORDS = ("Timeout", "connect", "upstream-reset", "Überlauf", "缓存失效", "user=17", "50%", "a_b", "retry", "GET", "x")
TEXTS = {"": 0, "INFO": 9, "warning": 13, "Error": 17, "odd": 0}


@dataclass(frozen=True)
class Row:
    """A line as plain Python sees it: the texts that free words are looked for in, and its fields."""

    kind: str
    time: int
    texts: tuple[str, ...]
    severity: int
    fields: dict[str, str]
    status: int = 0
    flags: tuple[str, ...] = ()


def _made() -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[Row]]:
    pick = random.Random(5)
    logs, entries, rows = [], [], []
    for number in range(300):
        time = NOW - pick.randrange(40) * 10**9 - pick.choice((0, 0, HOUR // 2))
        body = " ".join(pick.choices(WORDS, k=3))
        level, text = pick.choice((0, 0, 5, 9, 12, 13, 17, 21)), pick.choice(list(TEXTS))
        attributes = {"path": f"/a/{number % 7}", "why": pick.choice(WORDS)} if number % 3 else {}
        logs.append(
            {"Timestamp": time, "Body": body, "SeverityNumber": level, "SeverityText": text,
             "LogAttributes": attributes, "ServiceName": "cart"}
        )  # fmt: skip
        severity = level or TEXTS[text]
        rows.append(
            Row("log", time, (body, *attributes.values()), severity, {"path": "", **attributes, "service": "cart"})
        )
    for number in range(200):
        time = NOW - pick.randrange(40) * 10**9
        path, status = f"/{pick.choice(WORDS)}/{number % 7}", pick.choice((0, 200, 204, 301, 404, 500, 503))
        flags = pick.choice(((), ("UF",), ("UF", "URX"), ("DC",)))
        entries.append(
            {"Timestamp": time, "Method": "GET", "Path": path, "ResponseCode": status, "Authority": "reviews:9080",
             "ResponseFlags": ",".join(flags) or "-", "DurationNs": number * 10**6, "Kind": "http",
             "UpstreamCluster": "outbound|9080||reviews.shop.svc.cluster.local"}
        )  # fmt: skip
        lost = status == 0 and flags not in ((), ("DC",))
        severity = 17 if status >= 500 or lost else 13 if status >= 400 else 9
        texts = ("GET", "reviews:9080", path, str(status), ",".join(flags) or "-", str(entries[-1]["UpstreamCluster"]))
        rows.append(Row("access", time, texts, severity, {"path": path, "service": "reviews"}, status, flags))
    return logs, entries, rows


LOGS, ENTRIES, ROWS = _made()


@pytest.fixture(scope="module")
def lines(data_directory: Path) -> Iterator[Engine]:
    """A store with those lines, most of them in merged parts, which have the indexes, some not merged."""
    engine = EmbeddedEngine.open(data_directory, database="log_search")
    migrate(engine, Retention(default=None))
    for some in (LOGS[:100], LOGS[100:250]):
        store_logs(engine, some)
    store_entries(engine, ENTRIES[:150])
    for table in ("otel_logs", "envoy_access_logs"):
        engine.command(f"OPTIMIZE TABLE {table} FINAL")
    store_logs(engine, LOGS[250:])
    store_entries(engine, ENTRIES[150:])
    yield engine
    engine.command("DROP DATABASE log_search")
    engine.close()


Test = Callable[[Row], bool]


def _word(word: str) -> tuple[str, Test]:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"', lambda row: word.lower() in "\n".join(row.texts).lower()


def _severity(at: tuple[str, str]) -> tuple[str, Test]:
    op, word = at
    least = SEVERITIES.index(word) * 4 + 1
    tests: dict[str, Test] = {
        ">=": lambda row: row.severity >= least,
        ">": lambda row: row.severity >= least + 4,
        "<=": lambda row: 0 < row.severity < least + 4,
        "<": lambda row: 0 < row.severity < least,
        ":": lambda row: least <= row.severity < least + 4,
    }
    return f"severity{op}{word}", tests[op]


PIECES = [
    *itertools.chain.from_iterable((w, w.upper(), w[1:4]) for w in WORDS),
    "reset x", "connect timeout", "9080", "503", "nowhere", "TIMEOUT GET", "user=17 50%", "/a/3", "_", "%",
]  # fmt: skip
LEAVES = st.one_of(
    st.sampled_from(PIECES).map(_word),
    st.tuples(st.sampled_from((">=", ">", "<=", "<", ":")), st.sampled_from(SEVERITIES)).map(_severity),
    st.sampled_from(
        [
            ("status>=500", lambda row: row.kind == "access" and row.status >= 500),
            ("status:4??", lambda row: 400 <= row.status < 500),
            ("flags:URX", lambda row: "URX" in row.flags),
            ('response_flags:"-"', lambda row: row.kind == "access" and not row.flags),
            ("path:/a/3", lambda row: row.fields["path"] == "/a/3"),
            ("why:*", lambda row: "why" in row.fields),
            ("service:reviews.shop", lambda row: row.fields["service"] == "reviews"),
            ("service:cart", lambda row: row.fields["service"] == "cart"),
            ("kind:log", lambda row: row.kind == "log"),
            ("duration<50ms", lambda row: row.kind == "access" and id(row) in _QUICK),
            ("severity:*", lambda row: row.severity > 0),
            ("time?ut", lambda row: any("timeout" in text.lower() for text in row.texts)),
        ]
    ),
)  # fmt: skip
_QUICK = {id(row) for row in ROWS[300:350]}


def _all(parts: list[tuple[str, Test]]) -> tuple[str, Test]:
    return "(" + " ".join(q for q, _ in parts) + ")", lambda row: all(test(row) for _, test in parts)


def _any(parts: list[tuple[str, Test]]) -> tuple[str, Test]:
    return "(" + " OR ".join(q for q, _ in parts) + ")", lambda row: any(test(row) for _, test in parts)


EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(_all),
        st.lists(inner, min_size=2, max_size=3).map(_any),
        inner.map(lambda one: (f"NOT {one[0]}", lambda row: not one[1](row))),
    ),
    max_leaves=5,
)


def _query(text: str, kind: str = "all", **given: Any) -> LineQuery:
    return LineQuery(**{"start_ns": NOW - HOUR, "end_ns": NOW, "sources": chosen(kind), "where": parse(text), **given})


def _pages(engine: Engine, query: LineQuery) -> list[Line]:
    found: list[Line] = []
    while page := find(engine, LineQuery(**{**_as_dict(query), "after": found[-1].place if found else None})):
        found += page
        if len(page) < query.limit:
            break
    return found


def _as_dict(query: LineQuery) -> dict[str, Any]:
    return {name: getattr(query, name) for name in query.__slots__}


@settings(max_examples=12, deadline=None)
@given(EXPRESSIONS, st.sampled_from(("all", "log", "access")), st.sampled_from(("newest", "oldest")))
def test_search_is_what_plain_python_finds(lines: Engine, expression: tuple[str, Test], kind: str, sort: str) -> None:
    text, test = expression
    wanted = [row for row in ROWS if kind in ("all", row.kind) and test(row)]
    query = _query(text, kind, sort=sort, limit=1_000)
    found = find(lines, query)
    times = [line.place.time_ns for line in found]
    assert times == sorted((row.time for row in wanted), reverse=sort == "newest")
    severities = Counter((line.kind, line.severity) for line in found)
    assert severities == Counter((row.kind, row.severity) for row in wanted)
    assert histogram(lines, query, HOUR, "severity").total == len(wanted)


@pytest.mark.parametrize("sort", ["newest", "oldest"])
@pytest.mark.parametrize("limit", [1, 40])
def test_pages_have_every_line_once(lines: Engine, sort: Any, limit: int) -> None:
    wanted = [line.place for line in find(lines, _query("reset", sort=sort, limit=1_000))]
    if limit == 1:
        wanted = wanted[:5]
    query = _query("reset", sort=sort, limit=limit)
    found = [line.place for line in _pages_until(lines, query, len(wanted))]
    assert found == wanted
    assert len(set(found)) == len(found)


def _pages_until(engine: Engine, query: LineQuery, count: int) -> list[Line]:
    found: list[Line] = []
    while len(found) < count:
        found += find(engine, LineQuery(**{**_as_dict(query), "after": found[-1].place if found else None}))
    return found[:count]


def test_lines_that_come_between_pages_change_nothing_before(lines: Engine) -> None:
    first = find(lines, _query("", limit=50))
    store_logs(lines, [{"Timestamp": NOW + 1, "Body": "later"}])
    second = find(lines, _query("", limit=50, after=first[-1].place))
    assert [line.place for line in first + second] == [line.place for line in find(lines, _query("", limit=100))]


@pytest.mark.parametrize("by", BYS)
def test_series_of_a_histogram_add_up(lines: Engine, by: Any) -> None:
    found = histogram(lines, _query(""), 60 * 10**9, by)
    assert found.total == len(ROWS) == sum(sum(series.counts) for series in found.series)
    assert found.start_ns % (60 * 10**9) == 0
    lengths = {len(series.counts) for series in found.series}
    assert len(lengths) == 1
    for series in found.series:
        for place, count in enumerate(series.counts):
            low = found.start_ns + place * found.step_ns
            rows = [row for row in ROWS if low <= row.time < low + found.step_ns]
            if by == "kind":
                assert count == sum(row.kind == series.name for row in rows)


def test_a_histogram_of_very_many_services_joins_the_rest(empty_logs: Engine) -> None:
    engine = empty_logs
    store_logs(engine, [{"Timestamp": NOW, "Body": "", "ServiceName": f"s{n:02}"} for n in range(30)])
    series = histogram(engine, _query("", "log"), HOUR, "service").series
    assert (len(series), series[-1].name, sum(series[-1].counts)) == (21, "*", 10)


def test_completion(lines: Engine) -> None:
    found = {(field.scope, field.name): field for field in fields(lines, _query("severity:*"), limit=3).fields}
    services = {value.value: value.spans for value in found["", "service"].values}
    assert services == Counter(row.fields["service"] for row in ROWS if row.severity)
    assert ("log", "why") in found
    only = fields(lines, _query("", "access"), "status").fields
    assert [field.name for field in only] == ["status"]
    assert only[0].different == 7


@pytest.mark.parametrize(
    ("query", "message"),
    [("severity>loud", "character 10"), ("severity:wa*", "by its words"), ("kind:[a TO b]", "no order"),
     ("duration>x", "duration")],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(lines: Engine, query: str, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        find(lines, _query(query))


def test_ids_are_found_by_pasting_them(empty_logs: Engine) -> None:
    engine = empty_logs
    trace, request = "0af7651916cd43dd8448eb211c80319c", "84961386-6d84-929d-98bd-c5aee93b5c88"
    store_logs(engine, [{"Timestamp": NOW, "Body": "a", "TraceId": trace}, {"Timestamp": NOW, "Body": "b"}])
    store_entries(engine, [{"Timestamp": NOW, "RequestId": request}, {"Timestamp": NOW, "TraceId": trace}])
    assert [line.kind for line in find(engine, _query(trace.upper()))] == ["access", "log"]
    assert [line.request_id for line in find(engine, _query(request))] == [request]


def test_words_are_looked_up_in_the_index(lines: Engine) -> None:
    for table in ("otel_logs", "envoy_access_logs"):
        plan = lines.query(
            f"EXPLAIN indexes = 1 SELECT Timestamp FROM {table} WHERE SearchText LIKE lowerUTF8('%nowhere%')"
        )
        text = "\n".join(plan["explain"].tolist())
        assert "Name: words" in text


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from(("newest", "oldest")))
def test_windows_cover_the_time_once(start: int, length: int, sort: Any) -> None:
    found = windows(start, start + length, sort)
    ordered = sorted(found)
    assert (ordered[0][0], ordered[-1][1]) == (start, start + length)
    assert all(high + 1 == low for (_, high), (low, _) in itertools.pairwise(ordered))
    assert found == (ordered if sort == "oldest" else ordered[::-1])


@given(st.text(max_size=40))
def test_texts_that_are_no_cursor(text: str) -> None:
    with pytest.raises(BadInputError):
        Cursor.parse(text)


def test_a_cursor_comes_back() -> None:
    cursor = Cursor(Place(NOW, 1, 2, 3), 4, 5, 6)
    assert Cursor.parse(cursor.text()) == cursor
