"""Patterns: lines grouped by their shape, counted, and compared with another window.

In two steps. The engine replaces what has digits in it (numbers, addresses, ids) by `<*>` and groups, which
makes few texts of millions of lines. Texts of equally many words, of which most are the same in their
place, then become one template, as in Drain (He et al., "Drain: An Online Log Parsing Approach with Fixed
Depth Tree", 2017).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from windvane.store.api import Engine, Limits
from windvane.tracing.filters.ast import And, Equal, Expression, Key, Like, Pattern, Text, Wildcard, Words
from windvane.tracing.filters.show import show
from windvane.tracing.filters.sql import Conditions
from windvane.tracing.logs.search import WITHIN, LineQuery, conditions
from windvane.tracing.logs.sources import Source

READ = 2_000_000
"""Lines of a table that are grouped: the newest that match."""

WILD = "<*>"
_TEXTS = 20_000  # different masked texts, the most frequent, that are looked at further
_LONGEST = 512  # characters of a line that count
_ALIKE = 0.7  # of the words, so many must be the same
_MASKED = r"\\b[0-9a-fA-F]*[0-9][0-9a-fA-F]*\\b|[0-9]+"
_RUNS = re.compile(r"<\*>(?:[-.:_/,+T]?<\*>)+")
_LIMITS = Limits(seconds=60, memory_bytes=4 << 30)


@dataclass(slots=True)
class LinePattern:
    """Lines of one shape and one class of status (`5xx`; '' of logs). Times in ns.

    `before` counts lines of the baseline."""

    kind: str
    status: str
    words: list[str]
    count: int
    before: int
    severity: int
    services: set[str]
    first_ns: int
    last_ns: int
    example: str

    @property
    def template(self) -> str:
        return " ".join(self.words)

    def take(self, other: LinePattern) -> None:
        """Become the pattern of both."""
        self.words = [mine if mine == their else WILD for mine, their in zip(self.words, other.words, strict=True)]
        self.services |= other.services
        self.severity = max(self.severity, other.severity)
        if other.count and (not self.count or other.first_ns < self.first_ns):
            self.first_ns = other.first_ns
        self.last_ns = max(self.last_ns, other.last_ns)
        self.count += other.count
        self.before += other.before


@dataclass(frozen=True, slots=True)
class Patterns:
    """The most frequent patterns; `lines` match in the window, `read` of them were grouped."""

    lines: int
    read: int
    patterns: list[LinePattern] = field(default_factory=list)


def patterns(engine: Engine, query: LineQuery, baseline: tuple[int, int] | None = None, limit: int = 50) -> Patterns:
    """Patterns of the matching lines, the most frequent first; with a `baseline` (ns, inclusive) also its counts.

    With one, patterns that are only in it come too (`count` 0), behind the others.
    """
    lines = read = 0
    found: list[LinePattern] = []
    for source in query.sources:
        matching = _total(engine, source, query)
        lines, read = lines + matching, read + min(matching, READ)
        found += _merged(_masked(engine, source, query, baseline, whole=matching <= READ))
    found.sort(key=lambda pattern: (-pattern.count, -pattern.before, pattern.template))
    return Patterns(lines, read, found[:limit])


def query_of(pattern: LinePattern) -> str:
    """A query that finds the lines of a pattern: by its longest fixed text, which the index knows, and by its shape."""
    texts = " ".join(pattern.words).split(WILD)
    pieces: list[str | Wildcard] = []
    for number, text in enumerate(texts):
        pieces += [Wildcard.MANY] if number else []
        pieces += [text] if text else []
    if len(pattern.example) >= _LONGEST:
        pieces.append(Wildcard.MANY)
    unlike = [p for i, p in enumerate(pieces) if not i or p != pieces[i - 1]]
    fixed = Wildcard.MANY not in unlike
    body = Key("body")
    shape = Equal(body, Text(pattern.template, quoted=True)) if fixed else Like(body, Pattern(tuple(unlike)))
    terms: list[Expression] = [shape]
    longest = max(texts, key=len).strip()
    if pattern.kind == "log" and longest:
        terms.insert(0, Words(Text(longest, quoted=True)))
    if pattern.status:
        terms.append(Like(Key("status"), Pattern((pattern.status[0], Wildcard.ONE, Wildcard.ONE))))
    return show(And(tuple(terms)))


def _total(engine: Engine, source: Source, query: LineQuery) -> int:
    where = conditions(source, query)
    bounds = {"low": query.start_ns, "high": query.end_ns}
    frame = engine.query(
        f"SELECT count() AS n FROM {source.table} WHERE {where} AND {WITHIN}",
        {**where.params, **bounds},
        limits=_LIMITS,
    )
    return int(frame["n"][0])


def _masked(
    engine: Engine, source: Source, query: LineQuery, baseline: tuple[int, int] | None, *, whole: bool
) -> Iterable[LinePattern]:
    """Masked texts of both windows, by their number of lines."""
    where = conditions(source, query)
    params = {**where.params, "low": query.start_ns, "high": query.end_ns}
    read = [f"({_read(source, where, WITHIN, '1')}{'' if whole else _NEWEST})"]
    if baseline is not None:
        params |= {"low_before": baseline[0], "high_before": baseline[1]}
        before = WITHIN.replace("{low:", "{low_before:").replace("{high:", "{high_before:")
        read.append(f"({_read(source, where, before, '0')}{_NEWEST})")
    frame = engine.query(
        f"SELECT replaceRegexpAll(Text, '{_MASKED}', '{WILD}') AS Masked, Status, countIf(Now = 1) AS Count,"
        " countIf(Now = 0) AS Before, max(Severity) AS Highest, groupUniqArray(5)(Service) AS Services,"
        " minIf(Time, Now = 1) AS First, maxIf(Time, Now = 1) AS Last, argMax(Text, Time) AS Example"
        f" FROM ({' UNION ALL '.join(read)}) GROUP BY Masked, Status ORDER BY Count + Before DESC LIMIT {_TEXTS}",
        params,
        limits=_LIMITS,
    )
    for masked, status, count, before_count, severity, services, first, last, example in frame.itertuples(
        index=False, name=None
    ):
        words = _RUNS.sub(WILD, masked).split(" ")
        yield LinePattern(
            source.kind,
            status,
            words,
            int(count),
            int(before_count),
            int(severity),
            set(services),
            int(first),
            int(last),
            example,
        )


_NEWEST = f" ORDER BY Timestamp DESC LIMIT {READ}"


def _read(source: Source, where: Conditions, within: str, now: str) -> str:
    """SQL of the lines of a window."""
    return (
        f"SELECT substringUTF8({source.body}, 1, {_LONGEST}) AS Text, {now} AS Now, {source.severity} AS Severity,"
        f" {source.status} AS Status, toString({source.service}) AS Service,"
        f" toUnixTimestamp64Nano(Timestamp) AS Time FROM {source.table}"
        f" WHERE {where} AND {within}"
    )


def _merged(texts: Iterable[LinePattern]) -> list[LinePattern]:
    """Texts alike as one; the frequent ones come first and give the shape."""
    found: list[LinePattern] = []
    alike: dict[tuple[int, str, str], list[LinePattern]] = {}
    for text in texts:
        first = text.words[0] if text.words else ""
        near = alike.setdefault((len(text.words), text.status, WILD if WILD in first else first), [])
        for pattern in near:
            if _likeness(pattern.words, text.words) >= _ALIKE:
                pattern.take(text)
                break
        else:
            near.append(text)
            found.append(text)
    return found


def _likeness(template: list[str], words: list[str]) -> float:
    """The share of words that are the same in their place; none of none are."""
    same = sum(mine == their for mine, their in zip(template, words, strict=True))
    return same / len(words) if words else 1.0
