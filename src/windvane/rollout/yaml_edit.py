"""YAML changed as text: numbers replaced in place, parts put in between marks by which they are taken out again.

What is put in stands between two comments that name whose it is. Taking it out restores the text byte for byte,
whatever else was changed meanwhile. Places are those of the parser's marks: offsets into the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from windvane.kit.yaml_nodes import LOADER, FileError, Problem
from windvane.mesh.yaml_text import as_yaml


@dataclass(frozen=True, slots=True)
class Edit:
    """Text to stand in place of what is from `start` to `end`; of two at one place the deeper stands first."""

    start: int
    end: int
    text: str
    depth: int = 0


def applied(text: str, edits: Sequence[Edit]) -> str:
    """The text with all edits; the same one twice (of an alias) counts once."""
    parts, at = [], 0
    for edit in sorted(set(edits), key=lambda one: (one.start, -one.depth)):
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])


class Marks:
    """The comments around what is put in for one owner."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        mark = f"# windvane {re.escape(owner)}:"
        begin, lines = rf"\r?\n(?P<pad>[ ]*){mark} begin", rf"(?:\r?\n(?![ ]*{mark})[^\r\n]*)*"
        self._block = re.compile(rf"{begin}(?! inline)(?P<note>[^\r\n]*){lines}\r?\n[ ]*{mark} end(?=\r?\n|$)")
        self._inline = re.compile(rf"{begin} inline(?P<note>[^\r\n]*){lines}\r?\n[ ]*{mark} end inline\r?\n(?P=pad)")
        self._lost = re.compile(mark)

    def without(self, text: str, file: str) -> tuple[str, list[str]]:
        """The text as it was before, and the notes of what was put in, in their order.

        `FileError` where one of two marks is gone: what to take out is not known then.
        """
        found = sorted((one.start(), one["note"].strip()) for each in self._patterns for one in each.finditer(text))
        for pattern in self._patterns:
            text = pattern.sub("", text)
        if (lost := self._lost.search(text)) is not None:
            line = text.count("\n", 0, lost.start()) + 1
            message = f"{lost[0]!r} has lost its other half: take out both, and what was put in between them"
            raise FileError([Problem(file, line, "", message)])
        return text, [note for _, note in found]

    @property
    def _patterns(self) -> tuple[re.Pattern[str], re.Pattern[str]]:
        return self._inline, self._block

    def block(self, text: str, at: int, column: int, lines: Sequence[str], note: str = "") -> Edit:
        """Whole lines after the line that ends at `at`."""
        new, pad = newline(text), " " * column
        begin = f"# windvane {self._owner}: begin{f' {note}' if note else ''}"
        content = [begin, *lines, f"# windvane {self._owner}: end"]
        return Edit(at, at, "".join(f"{new}{pad}{line}" for line in content), column)

    def inline(self, text: str, at: int, content: str, note: str = "") -> Edit:
        """Something within brackets or braces, before what is at `at`."""
        new, pad = newline(text), " " * (_indent(text, at) + 2)
        begin = f"# windvane {self._owner}: begin inline{f' {note}' if note else ''}"
        lines = [begin, *([content] if content else []), f"# windvane {self._owner}: end inline", ""]
        return Edit(at, at, "".join(f"{new}{pad}{line}" for line in lines), len(pad))


def compose(text: str, file: str) -> list[Node]:
    """The documents of a text, which must not begin with a byte order mark; `FileError` where it is no YAML.

    Marks count characters, also those of the parser in C (which would not count that mark).
    """
    try:
        return [node for node in yaml.compose_all(text, Loader=LOADER) if node is not None]
    except yaml.YAMLError as error:
        raise FileError([Problem(file, 0, "", f"not YAML: {error}")]) from None


def newline(text: str) -> str:
    """How the lines of a text end."""
    return "\r\n" if "\r\n" in text else "\n"


def get(node: Node | None, *path: str) -> Node | None:
    """A field of a mapping, and of that one's, and so on."""
    for name in path:
        found = None
        if isinstance(node, MappingNode):
            for key, value in node.value:
                if isinstance(key, ScalarNode) and key.value == name:
                    found = value
        node = found
    return node


def items(node: Node | None) -> Iterator[Node]:
    """The elements of a list."""
    if isinstance(node, SequenceNode):
        yield from node.value


def text_of(node: Node | None) -> str:
    """A scalar's text."""
    return str(node.value) if isinstance(node, ScalarNode) else ""


def plain(node: Node) -> Any:
    """A node's value."""
    return SafeConstructor().construct_document(node)


def before_item(text: str, marks: Marks, list_: SequenceNode, item: Node, *, news: Sequence[Any], note: str) -> Edit:
    """Put elements before one of a list."""
    if list_.flow_style:
        content = " ".join(f"{_flow(one)}," for one in news)
        return marks.inline(text, item.start_mark.index, content, note)
    column, start = list_.start_mark.column, text.rfind("\n", 0, item.start_mark.index) + 1
    while text[start + column] != "-":  # a dash may stand in a line of its own
        start = text.rfind("\n", 0, start - 1) + 1
    return marks.block(text, _above_comments(text, start, column), column, _lines(news), note)


def into_mapping(text: str, marks: Marks, mapping: MappingNode, path: Sequence[str], value: Any) -> Edit | None:
    """Set a field by its path, by as much of it as is not there yet; None where it is there.

    A list at the end of the path gets one more element. `value` is that element, or the field's value.
    """
    name, *rest = path
    there = get(mapping, name)
    if isinstance(there, MappingNode) and rest:
        return into_mapping(text, marks, there, rest, value)
    if isinstance(there, SequenceNode) and isinstance(value, list) and not rest:
        return _at_end_of_list(text, marks, there, value)
    if there is not None:
        return None
    for part in reversed(rest):
        value = {part: value}
    if mapping.flow_style:
        comma = "" if not mapping.value or text[: mapping.end_mark.index - 1].rstrip().endswith(",") else ", "
        return marks.inline(text, mapping.end_mark.index - 1, f"{comma}{_flow({name: value})[1:-1]}")
    column = mapping.start_mark.column
    return marks.block(text, _line_end(text, _end(text, mapping)), column, [f"{name}: {_flow(value)}"])


def _at_end_of_list(text: str, marks: Marks, list_: SequenceNode, news: Sequence[Any]) -> Edit:
    if list_.flow_style:
        comma = "" if not list_.value or text[: list_.end_mark.index - 1].rstrip().endswith(",") else ", "
        return marks.inline(text, list_.end_mark.index - 1, comma + ", ".join(map(_flow, news)))
    column = list_.start_mark.column
    return marks.block(text, _line_end(text, _end(text, list_)), column, [f"- {_flow(one)}" for one in news])


def _end(text: str, node: Node) -> int:
    """Where the text of a node ends: a block's own mark is where the next thing begins."""
    if isinstance(node, ScalarNode) and node.style in ("|", ">"):
        return len(text[: node.end_mark.index].rstrip())
    if not isinstance(node, CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    if isinstance(node, SequenceNode):
        return _end(text, node.value[-1])
    key, value = node.value[-1]
    is_alias = value.start_mark.index < key.start_mark.index
    return int(key.end_mark.index) if is_alias else _end(text, value)


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    return end - 1 if end > at and text[end - 1] == "\r" else end


def _above_comments(text: str, start: int, column: int) -> int:
    """The end of the line before a line and the comments that belong to it."""
    while start > 0:
        before = text.rfind("\n", 0, start - 1) + 1
        line = text[before : start - 1]
        if not re.fullmatch(rf" {{{column},}}#[^\n]*", line.rstrip("\r")):
            break
        start = before
    end = start - 1
    return end - 1 if end > 0 and text[end - 1] == "\r" else end


def _indent(text: str, at: int) -> int:
    start = text.rfind("\n", 0, at) + 1
    return len(text[start:]) - len(text[start:].lstrip(" "))


def _lines(news: Sequence[Any]) -> list[str]:
    """Elements of a list as lines, the dashes at the beginning."""
    lines = as_yaml(list(news)).splitlines() if news else []
    spare = len(lines[0]) - len(lines[0].lstrip(" ")) if lines else 0
    return [line[spare:] for line in lines]


def _flow(value: Any) -> str:
    """A value in one line: JSON is YAML."""
    return json.dumps(value, ensure_ascii=False)
