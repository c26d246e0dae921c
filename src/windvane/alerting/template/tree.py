"""The syntax tree of a template. `str(node)` is the node as Go prints it in error messages."""

from __future__ import annotations

from dataclasses import dataclass, field

from windvane.alerting.template.tokens import quoted


@dataclass(frozen=True, slots=True)
class Dot:
    position: int

    def __str__(self) -> str:
        return "."


@dataclass(frozen=True, slots=True)
class Nil:
    position: int

    def __str__(self) -> str:
        return "nil"


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, character, boolean or string; `text` is how it was written."""

    position: int
    value: int | float | bool | str
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Field:
    """`.A.B`: fields of the dot."""

    position: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Variable:
    """`$x.A.B`: a variable and fields of it; `name` includes the dollar."""

    position: int
    name: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.name, *self.names))


@dataclass(frozen=True, slots=True)
class Identifier:
    """The name of a function."""

    position: int
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Chain:
    """`(pipeline).A.B`."""

    position: int
    node: Operand
    names: tuple[str, ...]

    def __str__(self) -> str:
        inner = f"({self.node})" if isinstance(self.node, Pipe) else str(self.node)
        return inner + "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Command:
    """A function, or a value, and its arguments."""

    position: int
    args: tuple[Operand, ...]

    def __str__(self) -> str:
        return " ".join(f"({arg})" if isinstance(arg, Pipe) else str(arg) for arg in self.args)


@dataclass(frozen=True, slots=True)
class Pipe:
    """Commands, each given the value of the one before; declares or assigns the variables `names`."""

    position: int
    commands: tuple[Command, ...]
    names: tuple[str, ...] = ()
    assigns: bool = False

    def __str__(self) -> str:
        declared = f"{', '.join(self.names)} {'=' if self.assigns else ':='} " if self.names else ""
        return declared + " | ".join(map(str, self.commands))


Operand = Dot | Nil | Literal | Field | Variable | Identifier | Chain | Pipe


@dataclass(frozen=True, slots=True)
class Text:
    position: int
    text: str


@dataclass(frozen=True, slots=True)
class Action:
    position: int
    pipe: Pipe

    def __str__(self) -> str:
        return f"{{{{{self.pipe}}}}}"


@dataclass(frozen=True, slots=True)
class Branch:
    """`if`, `range` or `with` (`kind`)."""

    position: int
    kind: str
    pipe: Pipe
    body: tuple[Node, ...]
    other: tuple[Node, ...]

    def __str__(self) -> str:
        return f"{{{{{self.kind} {self.pipe}}}}}"


@dataclass(frozen=True, slots=True)
class Invoke:
    """`template "name" pipeline`."""

    position: int
    name: str
    pipe: Pipe | None

    def __str__(self) -> str:
        return f"{{{{template {quoted(self.name)}{f' {self.pipe}' if self.pipe else ''}}}}}"


@dataclass(frozen=True, slots=True)
class Jump:
    """`break` or `continue` (`kind`)."""

    position: int
    kind: str

    def __str__(self) -> str:
        return f"{{{{{self.kind}}}}}"


Node = Text | Action | Branch | Invoke | Jump


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template: its own nodes and those of the templates it defines."""

    name: str
    text: str
    body: tuple[Node, ...]
    defined: dict[str, tuple[Node, ...]] = field(default_factory=dict)
