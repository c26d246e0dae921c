"""The text formats 0.0.4 and 1.0.0, and OpenMetrics on top of the same lines.

Bodies of a target repeat. When every series of a body is known, lines are split at their last blank
and nothing is parsed but values; otherwise lines are taken one by one, and only a series seen for the
first time goes through the grammar. Both give the same result.
Formats: https://prometheus.io/docs/instrumenting/exposition_formats/,
https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Container, Sequence

import numpy as np

from windvane.signals.exposition import grammar
from windvane.signals.exposition.model import (
    NO_TIME,
    Exemplar,
    Exposition,
    ExpositionError,
    FamilyMetadata,
    Labels,
)
from windvane.signals.exposition.values import BadNumberError, number, numbers

_HASH = ord("#")
_FAMILY = rb'(?:"((?:[^"\\]|\\.)*)"|([^ \t"]+))'
_COMMENT = re.compile(rb"#[ \t]*(HELP|TYPE|UNIT)[ \t]+" + _FAMILY + rb"(?:[ \t](.*))?", re.DOTALL)
_OPEN_COMMENT = re.compile(rb"# (HELP|TYPE|UNIT) " + _FAMILY + rb"(?: (.*))?", re.DOTALL)
_HELP_ESCAPE = re.compile(r'\\([\\"n])')
_TYPES = {"counter", "gauge", "histogram", "summary", "untyped"}
_OPEN_TYPES = {"counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset", "unknown"}
_SUFFIXES = ("_bucket", "_count", "_sum", "_total", "_created", "_gsum", "_gcount", "_info")
_TIME = re.compile(rb"\d+")
_MAX_MS = 1 << 53


class TextReader:
    """Reads bodies of text format 0.0.4 or 1.0.0."""

    types = _TYPES
    blanks = b" \t"
    strict = False
    comment = _COMMENT

    def __init__(self) -> None:
        self._comments: list[bytes] = []
        self._keys: tuple[bytes, ...] = ()

    def read(self, body: bytes, known: Container[bytes]) -> Exposition:
        """As `Reader.read`; a result whose `keys` are the same object as the last time has the same series."""
        lines = body.split(b"\n")
        wrong = self.frame(lines)
        comments = [line for line in lines if line and line[0] == _HASH]
        found = self._repeated(lines, known) if comments == self._comments and wrong is None else None
        if found is None:
            found = _Body(self, lines, known).read()
            if wrong is not None:
                wrong.samples = len(found.keys)
                raise wrong
            self._comments = comments
        keys = tuple(found.keys)
        if keys != self._keys:
            self._keys = keys
        found.keys = self._keys
        return found

    def _repeated(self, lines: list[bytes], known: Container[bytes]) -> Exposition | None:
        """The body when all its lines are known series with a value; None when any is not."""
        if self.strict and b"" in lines:
            return None
        split = [line.rpartition(b" ") for line in lines if line and line[0] != _HASH]
        if not split:
            return Exposition((), np.empty(0))
        keys, _, texts = zip(*split, strict=True)
        if keys == self._keys:
            keys = self._keys
        if not all(map(known.__contains__, keys)):
            return None
        try:
            return Exposition(keys, numbers(texts))
        except BadNumberError:
            return None  # the line is found, and named, by the slower way

    def frame(self, lines: list[bytes]) -> ExpositionError | None:
        """What is wrong with a body as a whole, past its `lines`, which this may shorten."""

    def tail(self, line: bytes, position: int) -> tuple[bytes, bytes, bytes]:
        """Value, timestamp and exemplar texts that follow a series."""
        rest = line[position:]
        if rest and not rest.startswith((b" ", b"\t")) and line[position - 1 : position] != b"}":
            raise grammar.GrammarError("a blank after the metric name", position)
        fields = [field for field in rest.replace(b"\t", b" ").split(b" ") if field]
        if not fields:
            raise grammar.GrammarError("a value", len(line))
        if len(fields) > 2:
            raise grammar.GrammarError(f"the end of the line, not {_shown(fields[2])}", line.rindex(fields[2]))
        return fields[0], fields[1] if len(fields) > 1 else b"", b""

    def time_ms(self, text: bytes) -> int:
        """A timestamp: milliseconds."""
        if _TIME.fullmatch(text) is None or abs(int(text)) > _MAX_MS:
            raise ValueError(text)
        return int(text)

    def help_text(self, raw: str) -> str:
        """A HELP text without its escapes."""
        return _HELP_ESCAPE.sub(lambda m: {"\\": "\\", "n": "\n"}.get(m[1], m[0]), raw)

    def empty_line(self) -> None:
        """A line without anything in it."""

    def strict_comment(self, line: bytes) -> None:
        """A comment that is none of HELP, TYPE, UNIT."""

    def family_type(self, name: str) -> str:
        """The type as stored for the type that a TYPE line names."""
        return "unknown" if name == "untyped" else name


class OpenMetricsReader(TextReader):
    """Reads bodies of OpenMetrics 1.0 and 0.0.1: times in seconds, exemplars, units, `# EOF` at the end."""

    types = _OPEN_TYPES
    blanks = b""
    strict = True
    comment = _OPEN_COMMENT

    def frame(self, lines: list[bytes]) -> ExpositionError | None:
        whole = not lines[-1]
        if whole:
            lines.pop()
        if lines and lines[-1] == b"# EOF" and lines.index(b"# EOF") == len(lines) - 1:
            return None
        if b"# EOF" in lines:
            end = lines.index(b"# EOF") + 1
            del lines[end:]
            return ExpositionError("unexpected data after # EOF", end + 1)
        wrong = ExpositionError("data does not end with # EOF", len(lines) or 1)
        if not whole:
            lines.pop()  # a line that may have been cut off is not read
        return wrong

    def tail(self, line: bytes, position: int) -> tuple[bytes, bytes, bytes]:
        rest = line[position:]
        if not rest.startswith(b" "):
            raise grammar.GrammarError("a blank and a value", position)
        head, mark, exemplar = rest[1:].partition(b" # ")
        fields = head.split(b" ")
        if not fields[0]:
            raise grammar.GrammarError("a value", position + 1)
        if len(fields) > 2:
            raise grammar.GrammarError("a timestamp, an exemplar or the end of the line", position + 1 + len(head))
        if mark and not exemplar.startswith(b"{"):
            raise grammar.GrammarError("{ of an exemplar", len(line) - len(exemplar))
        return fields[0], fields[1] if len(fields) > 1 else b"", exemplar

    def time_ms(self, text: bytes) -> int:
        value = number(text) * 1000
        if not abs(value) <= _MAX_MS:
            raise ValueError(text)
        return int(value)

    def help_text(self, raw: str) -> str:
        return _HELP_ESCAPE.sub(lambda m: {"\\": "\\", "n": "\n", '"': '"'}[m[1]], raw)

    def empty_line(self) -> None:
        raise grammar.GrammarError("a series or a comment", 0)

    def strict_comment(self, line: bytes) -> None:
        if line != b"# EOF":
            raise grammar.GrammarError("# HELP, # TYPE, # UNIT or # EOF", 0)


class _Body:
    """One body, line by line."""

    def __init__(self, reader: TextReader, lines: list[bytes], known: Container[bytes]) -> None:
        self._reader = reader
        self._lines = lines
        self._known = known
        self._keys: list[bytes] = []
        self._texts: list[bytes] = []
        self._times: dict[int, int] = {}
        self._rows: list[int] = []  # the line number of each sample
        self._fresh: dict[bytes, Labels] = {}
        self._exemplars: list[Exemplar] = []
        self._families: dict[str, dict[str, str]] = {}

    def read(self) -> Exposition:
        for place, line in enumerate(self._lines, 1):
            try:
                if not line.strip(self._reader.blanks):
                    self._reader.empty_line()
                elif line.lstrip(self._reader.blanks)[0] == _HASH:
                    self._comment(line.lstrip(self._reader.blanks))
                else:
                    self._sample(line, place)
            except grammar.GrammarError as error:
                raise self._error(line, place, error) from None
        return Exposition(
            self._keys,
            self._values(),
            self._time_column(),
            self._fresh,
            self._exemplars,
            {name: FamilyMetadata(**facts) for name, facts in self._families.items()},
        )

    def _error(self, line: bytes, place: int, error: grammar.GrammarError) -> ExpositionError:
        got = _shown(line[error.position :]) if error.position < len(line) else "the end of the line"
        return ExpositionError(f"expected {error.expected}, got {got} in {_shown(line)}", place, len(self._keys))

    def _sample(self, line: bytes, place: int) -> None:
        key, _, value = line.rpartition(b" ")
        if key in self._known or key in self._fresh:
            self._add(key, value.strip(self._reader.blanks), place)
            return
        earlier, _, maybe_value = key.rpartition(b" ")
        if maybe_value and (earlier in self._known or earlier in self._fresh):
            self._add(earlier, maybe_value, place)
            self._time(value, line, place)
            return
        self._parse(line, place)

    def _parse(self, line: bytes, place: int) -> None:
        start = len(line) - len(line.lstrip(self._reader.blanks))
        labels, end, twice = grammar.series(line[start:], self._type_of(line[start:]), strict=self._reader.strict)
        end += start
        value, time, exemplar = self._reader.tail(line, end)
        key = line[start:end]
        if exemplar:
            self._exemplar(exemplar, line)
        if twice:
            self._refuse_twice(twice, value, time, line, place)
        if key not in self._known:
            self._fresh[key] = labels
        self._add(key, value, place)
        if time:
            self._time(time, line, place)

    def _refuse_twice(self, name: str, value: bytes, time: bytes, line: bytes, place: int) -> None:
        """A label that occurs twice: the sample counts as read when it is right otherwise, as in Prometheus."""
        read = len(self._keys)
        with contextlib.suppress(ValueError):
            number(value)
            if time:
                self._reader.time_ms(time)
            read += 1
        raise ExpositionError(f'label "{name}" is not unique in {_shown(line)}', place, read)

    def _add(self, key: bytes, value: bytes, place: int) -> None:
        self._keys.append(key)
        self._texts.append(value)
        self._rows.append(place)

    def _time(self, text: bytes, line: bytes, place: int) -> None:
        try:
            self._times[len(self._keys) - 1] = self._reader.time_ms(text)
        except ValueError:
            self._keys.pop()
            message = f"{_shown(text)} is not a timestamp in {_shown(line)}"
            raise ExpositionError(message, place, len(self._keys)) from None

    def _exemplar(self, text: bytes, line: bytes) -> None:
        labels: Labels = {}
        start = len(line) - len(text)
        end, _ = grammar.braces(line, start, labels, named=False, strict=True)
        fields = line[end:].split(b" ")
        if fields[0] or not 2 <= len(fields) <= 3:
            raise grammar.GrammarError("a value of the exemplar", end)
        try:
            value = number(fields[1])
            time = self._reader.time_ms(fields[2]) if len(fields) > 2 else NO_TIME
        except ValueError:
            raise grammar.GrammarError("a value and a timestamp of the exemplar", end) from None
        self._exemplars.append(Exemplar(len(self._keys), labels, value, time))

    def _type_of(self, line: bytes) -> str:
        """The declared type of the family that a series belongs to."""
        if b"le" not in line and b"quantile" not in line:
            return ""
        name = line.partition(b"{")[0].strip().decode(errors="replace")
        if not name:
            name = line[1:].strip().strip(b'"').partition(b'"')[0].decode(errors="replace")
        for suffix in ("", *_SUFFIXES):
            facts = self._families.get(name.removesuffix(suffix)) if name.endswith(suffix) else None
            if facts is not None and "type" in facts:
                return facts["type"]
        return ""

    def _comment(self, line: bytes) -> None:
        match = self._reader.comment.fullmatch(line)
        if match is None:
            self._reader.strict_comment(line)
            return
        kind, quoted, plain, rest = match.groups()
        name = grammar.text(plain if quoted is None else quoted, match.start(2 if plain is None else 3))
        said = grammar.text_plain(rest or b"", match.start(4))
        facts = self._families.setdefault(name, {})
        if kind == b"TYPE":
            given = said.strip(" \t")
            if given not in self._reader.types:
                raise grammar.GrammarError(f"a metric type ({', '.join(sorted(self._reader.types))})", match.start(4))
            facts["type"] = self._reader.family_type(given)
        elif kind == b"HELP":
            facts["help"] = self._reader.help_text(said)
        else:
            if said and not name.endswith(f"_{said}"):
                raise grammar.GrammarError(f"a unit that is the suffix of {name}", match.start(4))
            facts["unit"] = said

    def _values(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        try:
            return numbers(self._texts)
        except BadNumberError as error:
            place = self._rows[error.position]
            message = f"{_shown(self._texts[error.position])} is not a value in {_shown(self._lines[place - 1])}"
            raise ExpositionError(message, place, error.position) from None

    def _time_column(self) -> np.ndarray[tuple[int], np.dtype[np.int64]] | None:
        if not self._times:
            return None
        times = np.full(len(self._keys), NO_TIME, np.int64)
        times[list(self._times)] = list(self._times.values())
        return times


def _shown(raw: bytes | Sequence[int]) -> str:
    """Bytes of the body as a message shows them."""
    text = bytes(raw[:120]).decode(errors="replace")
    return f'"{text}{"…" if len(raw) > 120 else ""}"'
