"""Plain values written as YAML: as people write it, or as another text has it."""

from __future__ import annotations

import io
from typing import Any

import yaml

_Style = dict[tuple[str, ...], bool]
"""Whether a list or mapping stands in one line, by its path; items of lists are all called `*`."""
_WIDTH = 110


class YamlDumper(yaml.SafeDumper):
    """What stands twice is written twice, and lists are indented."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def as_yaml(value: Any, like: str = "") -> str:
    """A document's text, fields in their order; lists and mappings stand in one line where another text has them so."""
    out = io.StringIO()
    dumper = YamlDumper(out, sort_keys=False, allow_unicode=True, width=_WIDTH)
    node = dumper.represent_data(value)
    _set_style(node, _style(like) if like else {}, ())
    dumper.open()
    dumper.serialize(node)
    dumper.close()
    return out.getvalue()


def _style(text: str) -> _Style:
    found: _Style = {}

    def walk(node: yaml.Node | None, path: tuple[str, ...]) -> None:
        if isinstance(node, yaml.CollectionNode):
            found[path] = bool(node.flow_style)
            for name, child in _children(node):
                walk(child, (*path, name))

    walk(yaml.compose(text, Loader=yaml.CSafeLoader), ())
    return found


def _set_style(node: yaml.Node, style: _Style, path: tuple[str, ...]) -> None:
    if isinstance(node, yaml.CollectionNode):
        node.flow_style = style.get(path, False)
        for name, child in _children(node):
            _set_style(child, style, (*path, name))


def _children(node: yaml.CollectionNode) -> list[tuple[str, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        return [(str(key.value), value) for key, value in node.value]
    return [("*", value) for value in node.value]
