"""YAML text to plain values with the line of every field, one document at a time.

The text is cut at document markers first, so that a document with a syntax error does not hide the
others. Each document's parser events are folded into JSON-like values without recursion. Scalars
are read as Kubernetes reads them (YAML 1.1 words for booleans, no dates, no base-60 numbers), keys
become strings. An alias shares the value of its anchor; the size a document would have with all
aliases written out is counted and bounded, which stops "billion laughs" files, as are depth and
text size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from windvane.mesh.findings import Finding, finding
from windvane.mesh.models.base import json_name

Path = tuple[str | int, ...]

MAX_TEXT = 16 * 1024 * 1024
"""Characters of one file."""
MAX_NODES = 200_000
"""Scalars, lists and mappings of one document, aliases written out."""
MAX_DEPTH = 64

_MARKER = re.compile(r"^(?:---|\.\.\.)(?=\s|$)", re.MULTILINE)
_ONLY_PREAMBLE = re.compile(r"(?:\s*(?:#|%)[^\n]*(?:\n|$)|\s)*")
_INT = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[1-9][0-9_]*|0)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LONGEST_NUMBER = 64
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Document:
    """One document's value; `lines` maps the path of every field and element to its line, from 1.

    `columns` maps it to where it begins and ends in that line, from 0: a field with its value, or only the field
    when the value goes on in other lines.
    """

    value: Any
    file: str
    line: int
    lines: dict[Path, int]
    columns: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def line_of(self, path: Sequence[str | int]) -> int:
        """The line of a field, or of the nearest thing around it that is written in the text."""
        spelled: Path = tuple(json_name(part) if isinstance(part, str) else part for part in path)
        for length in range(len(spelled), 0, -1):
            if spelled[:length] in self.lines:
                return self.lines[spelled[:length]]
        return self.line

    def columns_of(self, path: Sequence[str | int]) -> tuple[int, int]:
        """Where in that line it begins and ends, from 1, the end not counted; zeros where that is not known."""
        spelled: Path = tuple(json_name(part) if isinstance(part, str) else part for part in path)
        for length in range(len(spelled), 0, -1):
            if spelled[:length] in self.lines:
                begin, end = self.columns.get(spelled[:length], (-1, -1))
                return begin + 1, end + 1
        return 0, 0


class _Refused(Exception):  # noqa: N818 - an outcome that the reader below turns into a finding
    def __init__(self, code: str, message: str, line: int) -> None:
        super().__init__(message)
        self.code, self.message, self.line = code, message, line


def read_documents(text: str, file: str) -> tuple[list[Document], list[Finding]]:
    """Every document of a text that can be read, and a finding for each that cannot."""
    if len(text) > MAX_TEXT:
        return [], [finding("WV0102", f"larger than {MAX_TEXT >> 20} MiB of text", file=file)]
    documents: list[Document] = []
    findings: list[Finding] = []
    for first_line, part in parts(text):
        try:
            document = _Reader(file, first_line).read(part)
        except yaml.YAMLError as error:
            message, line = _syntax_error(error)
            last = part.rstrip().count("\n")  # a construct left open is noticed only after the document
            findings.append(finding("WV0101", message, file=file, line=first_line + min(line, last)))
        except _Refused as refused:
            findings.append(finding(refused.code, refused.message, file=file, line=refused.line))
        else:
            documents.extend([document] if document is not None else [])
    return documents, findings


def path_text(path: Sequence[str | int]) -> str:
    """A path as people write it: `spec.http[0].route[1].weight`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[A-Za-z_][\w-]*", part):
            text += f".{part}" if text else part
        else:
            text += f"[{part!r}]"
    return text


def parts(text: str) -> Iterator[tuple[int, str]]:
    """The text of each document with the number of its first line; directives stay with what follows them."""
    line, start = 1, 0
    for begin, end in _boundaries(text):
        line += text.count("\n", start, begin)
        start = begin
        if not _ONLY_PREAMBLE.fullmatch(text, begin, end):
            yield line, text[begin:end]


def _boundaries(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for marker in _MARKER.finditer(text):
        if marker[0] == "...":
            yield start, marker.start()
            start = marker.end()
        elif not _ONLY_PREAMBLE.fullmatch(text, start, marker.start()):
            yield start, marker.start()
            start = marker.start()
    yield start, len(text)


def _syntax_error(error: yaml.YAMLError) -> tuple[str, int]:
    """What is wrong and its line, from 0, in the part that was read."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    context = getattr(error, "context", None)
    return f"not YAML: {problem}" + (f" ({context})" if context else ""), mark.line if mark else 0


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not been read yet."""

    value: list[Any] | dict[str, Any]
    path: Path
    anchor: str | None
    nodes_before: int
    key: str | None = None
    merged: list[dict[str, Any]] = field(default_factory=list)


class _Reader:
    """Folds the events of one document into a value."""

    def __init__(self, file: str, first_line: int) -> None:
        self.file, self.first_line = file, first_line
        self.lines: dict[Path, int] = {}
        self.columns: dict[Path, tuple[int, int]] = {}
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.nodes = 0
        self.root: Any = None
        self.root_line: int | None = None

    def read(self, text: str) -> Document | None:
        """The document, or None when there is none in the text."""
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent | AliasEvent):
                start: Any = event.start_mark
                self._node(event, self.first_line + start.line)
            elif isinstance(event, SequenceEndEvent | MappingEndEvent):
                path = self.stack[-1].path
                self._close()
                self._ends(path, event)
        if self.root_line is None or self.root is None:
            return None
        return Document(self.root, self.file, self.root_line, self.lines, self.columns)

    def _node(self, event: Event, line: int) -> None:
        self._count(1, line)
        top = self.stack[-1] if self.stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            top.key = self._key(event, top.value, line)
            self.lines[(*top.path, json_name(top.key))] = line
            self._begins((*top.path, json_name(top.key)), event)
            return
        path = self._path_of_next()
        self._begins(path, event)
        if isinstance(event, SequenceStartEvent | MappingStartEvent):
            self._open(event, line)
        else:
            self._add(self._leaf(event, line), line)
            self._ends(path, event)

    def _begins(self, path: Path, event: Event) -> None:
        """Where a field or an element of a list begins; a field's value begins nothing."""
        start: Any = event.start_mark
        end: Any = event.end_mark
        self.columns.setdefault(path, (start.column, end.column if end.line == start.line else start.column))

    def _ends(self, path: Path, event: Event) -> None:
        """A value that ends in the line in which its field or element begins is marked with it."""
        end: Any = event.end_mark
        begin, _ = self.columns[path]
        if self.lines.get(path) == self.first_line + end.line and end.column > begin:
            self.columns[path] = (begin, end.column)

    def _open(self, event: SequenceStartEvent | MappingStartEvent, line: int) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise _Refused("WV0102", f"nested deeper than {MAX_DEPTH} levels", line)
        wanted = _TAG + ("seq" if isinstance(event, SequenceStartEvent) else "map")
        if event.tag not in (None, "!", wanted):
            raise _Refused("WV0101", f"tag {event.tag} has no meaning here", line)
        path = self._path_of_next()
        self.lines.setdefault(path, line)
        empty: list[Any] | dict[str, Any] = [] if isinstance(event, SequenceStartEvent) else {}
        self.stack.append(_Open(empty, path, event.anchor, self.nodes))

    def _close(self) -> None:
        done = self.stack.pop()
        if isinstance(done.value, dict):
            for source in done.merged:
                for key, item in source.items():
                    done.value.setdefault(key, item)
        if done.anchor is not None:
            self.anchors[done.anchor] = (done.value, self.nodes - done.nodes_before + 1)
        self._add(done.value, self.lines.get(done.path, self.first_line))

    def _add(self, value: Any, line: int) -> None:
        if not self.stack:
            self.root, self.root_line = value, line
            return
        top = self.stack[-1]
        if isinstance(top.value, list):
            self.lines.setdefault((*top.path, len(top.value)), line)
            top.value.append(value)
        elif top.key == "<<":
            top.merged.extend(_merge_sources(value, line))
            top.key = None
        else:
            assert top.key is not None
            top.value[top.key] = value
            top.key = None

    def _path_of_next(self) -> Path:
        if not self.stack:
            return ()
        top = self.stack[-1]
        return (*top.path, len(top.value)) if isinstance(top.value, list) else (*top.path, json_name(top.key or ""))

    def _leaf(self, event: Event, line: int) -> Any:
        if isinstance(event, AliasEvent):
            if event.anchor not in self.anchors:
                raise _Refused("WV0101", f"alias *{event.anchor} stands before its anchor ends", line)
            value, size = self.anchors[event.anchor]
            self._count(size - 1, line)
            return value
        assert isinstance(event, ScalarEvent)
        value = _scalar(event, line)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, 1)
        return value

    def _key(self, event: Event, mapping: dict[str, Any], line: int) -> str:
        if not isinstance(event, ScalarEvent | AliasEvent):
            raise _Refused("WV0101", "a key must be a string", line)
        value = self._leaf(event, line)
        if isinstance(value, bool):
            value = str(value).lower()
        if not isinstance(value, str | int):
            raise _Refused("WV0101", f"a key must be a string, this is {value!r}", line)
        key = str(value)
        if key in mapping:
            raise _Refused("WV0103", f"key {key!r} stands twice in one mapping", line)
        return key

    def _count(self, nodes: int, line: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise _Refused("WV0102", f"more than {MAX_NODES} values, aliases written out", line)


def _merge_sources(value: Any, line: int) -> list[dict[str, Any]]:
    sources = value if isinstance(value, list) else [value]
    if not all(isinstance(source, dict) for source in sources):
        raise _Refused("WV0101", "<< takes a mapping or a list of mappings", line)
    return sources


def _scalar(event: ScalarEvent, line: int) -> Any:
    text = event.value
    if event.tag not in (None, "!"):
        return _tagged(event.tag, text, line)
    return _plain(text) if event.implicit[0] else text


def _plain(text: str) -> Any:
    """A scalar without quotes: a word of YAML, a number or a string."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _LONGEST_NUMBER:
        if _INT.fullmatch(text):
            return _int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text


def _int(text: str) -> int:
    digits = text.replace("_", "").lower()
    unsigned = digits.lstrip("+-")
    if unsigned.startswith("0") and unsigned.isdecimal() and len(unsigned) > 1:
        digits = digits.replace("0", "0o", 1)
    return int(digits, 0)


def _tagged(tag: str, text: str, line: int) -> Any:
    if tag == f"{_TAG}str":
        return text
    value = _plain(text)
    wanted = {"int": int, "float": float | int, "bool": bool, "null": type(None)}.get(tag.removeprefix(_TAG))
    if wanted is None or not isinstance(value, wanted):
        raise _Refused("WV0101", f"{text!r} cannot be read with tag {tag}", line)
    return value
