"""What readers of YAML files share: problems with their place, and nodes instead of values.

A reader that tells lines, and to whom a scalar is what its field makes of it, reads nodes. Two do, in
their own ways: rule files field by field, a Prometheus configuration as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from windvane.kit.errors import BadInputError

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a file, and where; line 0: with the file as a whole, column 0: with the line."""

    file: str
    line: int
    path: str
    message: str
    column: int = 0

    def __str__(self) -> str:
        place = [self.file, *(str(number) for number in (self.line, self.column) if self.line and number)]
        return ": ".join(part for part in (":".join(place), self.path, self.message) if part)


class FileError(BadInputError):
    """A file that cannot be used; `problems` are all that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def parted(node: MappingNode) -> tuple[list[tuple[Node, Node]], list[Node]]:
    """A mapping's own keys and values, and the nodes that `<<` merges into it, in order."""
    own: list[tuple[Node, Node]] = []
    merged: list[Node] = []
    for key, value in node.value:
        if isinstance(key, ScalarNode) and key.value == "<<" and not key.style:
            merged.extend(value.value if isinstance(value, SequenceNode) else [value])
        else:
            own.append((key, value))
    return own, merged
