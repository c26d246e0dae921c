"""YAML read strictly, with the line and column of every field.

A file is composed into nodes; a `Mapping` hands out its fields by name and type, and `done` refuses
what nobody asked for. Problems are collected, not raised, so that one look shows all of a file's
errors; each names file, line, column and path. Aliases count as often as they are used, which bounds
"billion laughs" files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from windvane.kit.errors import BadInputError
from windvane.kit.values import parse_duration
from windvane.kit.yaml_nodes import LOADER, FileError, Problem, parted

MAX_TEXT = 16 << 20
MAX_NODES = 500_000
_T = TypeVar("_T")
MAX_DEPTH = 64
_NULL = "tag:yaml.org,2002:null"


@dataclass(slots=True)
class Document:
    """One file that is being read, and what is wrong with it so far."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    duration: Callable[[str], float] = parse_duration
    """How durations are written in this kind of file: text to seconds."""
    number: Callable[[str], float] = float
    """How numbers are."""

    def problem(self, node: Node | None, path: str, message: str) -> None:
        """Note a problem at a node."""
        line, column = (node.start_mark.line + 1, node.start_mark.column + 1) if node is not None else (0, 0)
        self.problems.append(Problem(self.file, line, path, message, column))

    def root(self, text: str) -> Mapping | None:
        """The mapping a file consists of (an empty file is an empty one); None after a problem."""
        if len(text) > MAX_TEXT:
            self.problem(None, "", f"larger than {MAX_TEXT >> 20} MiB")
            return None
        try:
            if _too_deep(text):
                self.problem(None, "", f"nests deeper than {MAX_DEPTH} levels")
                return None
            node = yaml.compose(text, Loader=LOADER)
        except yaml.YAMLError as error:
            self._syntax(error)
            return None
        if node is not None and _too_many(node):
            self.problem(node, "", f"more than {MAX_NODES} values")
        elif node is not None and not isinstance(node, MappingNode):
            self.problem(node, "", "must be a mapping")
        else:
            return Mapping(self, node, "")
        return None

    def roots(self, text: str) -> list[Mapping]:
        """The mappings of a file of several documents (`---`), empty ones left out."""
        if len(text) > MAX_TEXT:
            self.problem(None, "", f"larger than {MAX_TEXT >> 20} MiB")
            return []
        try:
            if _too_deep(text):
                self.problem(None, "", f"nests deeper than {MAX_DEPTH} levels")
                return []
            nodes = [node for node in yaml.compose_all(text, Loader=LOADER) if node is not None]
        except yaml.YAMLError as error:
            self._syntax(error)
            return []
        for node in nodes:
            if _too_many(node):
                self.problem(node, "", f"more than {MAX_NODES} values")
            elif not isinstance(node, MappingNode):
                self.problem(node, "", "must be a mapping")
        return [] if self.problems else [Mapping(self, node, "") for node in nodes if isinstance(node, MappingNode)]

    def _syntax(self, error: yaml.YAMLError) -> None:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        self.problems.append(Problem(self.file, line, "", f"not YAML: {reason}", column))


def _too_deep(text: str) -> bool:
    """Whether lists and mappings nest so deeply that composing them, which recurses, could exhaust the stack."""
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            return True
    return False


def _too_many(node: Node) -> bool:
    count, open_ = 0, [node]
    while open_:
        one = open_.pop()
        count += 1
        if count > MAX_NODES:
            return True
        if isinstance(one, MappingNode):
            open_.extend(part for pair in one.value for part in pair)
        elif isinstance(one, SequenceNode):
            open_.extend(one.value)
    return False


def read_text(path: Path) -> str:
    """A file's text; `FileError` when it cannot be read."""
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise FileError([Problem(str(path), 0, "", error.strerror or str(error))]) from None
    except UnicodeDecodeError as error:
        raise FileError([Problem(str(path), 0, "", f"not UTF-8: byte {error.start}")]) from None


class Mapping:
    """The fields of a mapping, taken one by one."""

    def __init__(self, document: Document, node: MappingNode | None, path: str) -> None:
        self.document = document
        self.node = node
        self.path = path
        self._fields: dict[str, Node] = {}
        self._keys: dict[str, Node] = {}
        own, merged = parted(node) if node is not None else ([], [])
        for key, value in own:
            name = key.value if isinstance(key, ScalarNode) else ""
            if not isinstance(key, ScalarNode):
                document.problem(key, path, "keys must be plain text")
            elif name in self._fields:
                document.problem(key, self.path_of(name), "given twice")
            self._fields[name] = value
            self._keys[name] = key
        for source in merged:
            self._merge(source)

    def _merge(self, source: Node) -> None:
        """`<<: *anchor`: the fields of another mapping, where this one has none of its own."""
        if not isinstance(source, MappingNode):
            self.document.problem(source, self.path, "only a mapping can be merged with <<")
            return
        other = Mapping(self.document, source, self.path)
        for name, value in other._fields.items():
            self._keys.setdefault(name, other._keys[name])
            self._fields.setdefault(name, value)

    def path_of(self, name: str) -> str:
        """The path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def field_node(self, name: str) -> Node | None:
        """A field's node, or the mapping's own where the field is absent."""
        return self._keys.get(name, self.node)

    def problem(self, name: str, message: str) -> None:
        """Note a problem with a field ('' for the mapping itself)."""
        node = self._fields.get(name, self.node) if name else self.node
        self.document.problem(node, self.path_of(name) if name else self.path, message)

    def _take(self, name: str, shape: type[_T], word: str) -> _T | None:
        node = self._fields.pop(name, None)
        if node is None or (isinstance(node, ScalarNode) and node.tag == _NULL):
            return None
        if not isinstance(node, shape):
            self.document.problem(node, self.path_of(name), f"must be {word}")
            return None
        return node

    def peek(self, name: str) -> str:
        """A scalar as it is written, left to be taken; '' for none."""
        node = self._fields.get(name)
        return str(node.value) if isinstance(node, ScalarNode) else ""

    def text(self, name: str, default: str = "") -> str:
        """A scalar as it is written."""
        node = self._take(name, ScalarNode, "text")
        return default if node is None else str(node.value)

    def read(self, name: str, how: Callable[[str], _T], default: _T) -> _T:
        """A scalar read by `how`; `ValueError` and `BadInputError` of it become problems."""
        node = self._take(name, ScalarNode, "text")
        if node is None:
            return default
        try:
            return how(node.value)
        except BadInputError as error:
            self.document.problem(node, self.path_of(name), error.message)
        except ValueError as error:
            self.document.problem(node, self.path_of(name), str(error))
        return default

    def duration(self, name: str, default: float) -> float:
        """Seconds."""
        return self.read(name, self.document.duration, default)

    def optional_duration(self, name: str) -> float | None:
        """Seconds, or None when absent."""
        return self.read(name, self.document.duration, None)

    def integer(self, name: str, default: int) -> int:
        """A whole number."""
        return self.read(name, _integer, default)

    def number(self, name: str, default: float) -> float:
        """A floating-point number."""
        return self.read(name, self._number, default)

    def _number(self, text: str) -> float:
        words = {".nan": "NaN", ".inf": "+Inf", "+.inf": "+Inf", "-.inf": "-Inf"}
        try:
            return self.document.number(words.get(text.lower(), text).replace("_", ""))
        except ValueError:
            raise ValueError(f"must be a number, not {text!r}") from None

    def boolean(self, name: str, default: bool) -> bool:
        """true or false."""
        return self.read(name, _boolean, default)

    def texts(self, name: str) -> list[str]:
        """A list of scalars."""
        return [node.value for node, path in self._items(name) if self._scalar(node, path)]

    def _scalar(self, node: Node, path: str) -> bool:
        if not isinstance(node, ScalarNode):
            self.document.problem(node, path, "must be text")
        return isinstance(node, ScalarNode)

    def text_map(self, name: str) -> dict[str, str]:
        """A mapping of scalars."""
        node = self._take(name, MappingNode, "a mapping")
        inner = Mapping(self.document, node, self.path_of(name))
        return {key: inner.text(key) for key in list(inner._fields)}

    def plain(self, name: str) -> Any:
        """Any value as plain data, for those who check it themselves; None when absent."""
        node = self._fields.pop(name, None)
        try:
            return None if node is None else SafeConstructor().construct_document(node)
        except (yaml.YAMLError, ValueError) as error:
            self.document.problem(node, self.path_of(name), str(getattr(error, "problem", error)))
        return None

    def mapping(self, name: str) -> Mapping:
        """A mapping; an empty one when absent."""
        return Mapping(self.document, self._take(name, MappingNode, "a mapping"), self.path_of(name))

    def mappings(self, name: str) -> list[Mapping]:
        """A list of mappings."""
        found = []
        for node, path in self._items(name):
            if isinstance(node, MappingNode):
                found.append(Mapping(self.document, node, path))
            else:
                self.document.problem(node, path, "must be a mapping")
        return found

    def _items(self, name: str) -> Iterator[tuple[Node, str]]:
        node = self._take(name, SequenceNode, "a list")
        for place, item in enumerate(node.value if node is not None else ()):
            yield item, f"{self.path_of(name)}[{place}]"

    def has(self, name: str) -> bool:
        """Whether a field that was not taken yet is given."""
        return name in self._fields

    def skip(self, *names: str) -> list[str]:
        """Take fields without a look at them; those that are given."""
        return [name for name in names if self._fields.pop(name, None) is not None]

    def done(self) -> None:
        """Refuse fields that were not taken."""
        for name in self._fields:
            self.document.problem(self._keys[name], self.path_of(name), "unknown field")


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"must be a whole number, not {text!r}") from None


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"must be true or false, not {text!r}")
    return text.lower() == "true"
