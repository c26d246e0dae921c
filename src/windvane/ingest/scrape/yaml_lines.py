"""YAML whose values know their lines.

Plain scalars stay text (`Plain`): what a scalar means depends on the field it is for, as in Prometheus,
where a label value `1` is the text 1. Duplicate keys are errors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from windvane.kit.yaml_nodes import LOADER, FileError, Problem, parted

Path = tuple[str | int, ...]
_NULLS = {"", "~", "null", "Null", "NULL"}
_MAX_DEPTH = 60
_MAX_NODES = 1_000_000


class Plain(str):
    """A scalar written without quotes."""

    __slots__ = ()


class ConfigError(FileError):
    """A configuration file that cannot be used; `problems` has all that was found."""


@dataclass(slots=True)
class Document:
    """A file's value (dict, list, str, None) and the line of every value in it, by path."""

    file: str
    value: Any
    lines: dict[Path, int] = field(default_factory=dict)

    def problem(self, path: Path, message: str) -> Problem:
        """A problem at the line of `path`, or of the nearest value around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return Problem(self.file, self.lines[path[:length]], shown(path), message)
        return Problem(self.file, 0, shown(path), message)


def shown(path: Path) -> str:
    """`scrape_configs[0].job_name`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def parse(text: str, file: str) -> Document:
    """The one document of a file; `ConfigError` when it is no YAML."""
    document = Document(file, None)
    try:
        node = yaml.compose(text, Loader=LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = " ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError([Problem(file, mark.line + 1 if mark else 0, "", message)]) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError([Problem(file, 0, "", str(error).replace("\n", " ") or "nested too deeply")]) from None
    if node is not None:
        document.value = _Reading(document).value(node, ())
    return document


class _Reading:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = 0

    def value(self, node: yaml.Node, path: Path) -> Any:
        self._nodes += 1
        self._document.lines[path] = node.start_mark.line + 1
        if len(path) > _MAX_DEPTH or self._nodes > _MAX_NODES:
            raise ConfigError([self._document.problem(path, "too many or too deeply nested values")])
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, place)) for place, item in enumerate(node.value)]
        assert isinstance(node, yaml.MappingNode)
        return self._mapping(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        pairs, sources = parted(node)
        for source in sources:
            self._merge(source, path, merged)
        for key_node, value_node in pairs:
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError([self._document.problem(path, "a key must be text")])
            key, at = str(key_node.value), (*path, str(key_node.value))
            if key in own:
                self._document.lines[at] = key_node.start_mark.line + 1
                raise ConfigError([self._document.problem(at, "the key occurs twice")])
            own[key] = self.value(value_node, at)
            self._document.lines[at] = key_node.start_mark.line + 1
        return merged | own

    def _merge(self, source: yaml.Node, path: Path, merged: dict[str, Any]) -> None:
        if not isinstance(source, yaml.MappingNode):
            raise ConfigError([self._document.problem(path, "<< merges mappings only")])
        for key, value in self._mapping(source, path).items():
            merged.setdefault(key, value)


def _scalar(node: yaml.ScalarNode) -> str | None:
    text = str(node.value)
    if not node.style:  # None or '', by who parsed it
        return None if text in _NULLS else Plain(text)
    return text
