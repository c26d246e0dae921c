"""Carries out a parsed template. Steps, depth and the size of the result are bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, NoReturn

from windvane.alerting.template.builtins import FUNCTIONS
from windvane.alerting.template.errors import CallError, TemplateError, WrongTypeError
from windvane.alerting.template.methods import arity, member
from windvane.alerting.template.tokens import quoted
from windvane.alerting.template.tree import (
    Action,
    Branch,
    Chain,
    Command,
    Dot,
    Field,
    Identifier,
    Invoke,
    Jump,
    Literal,
    Nil,
    Node,
    Operand,
    Pipe,
    Template,
    Text,
    Variable,
)
from windvane.alerting.template.values import NO_VALUE, NoValue, is_true, text_of

MAX_STEPS = 100_000
MAX_OUTPUT = 1 << 20
MAX_CALLS = 30
_ABSENT = object()


class _Break(Exception):  # noqa: N818 - control flow of {{break}}
    pass


class _Continue(Exception):  # noqa: N818 - control flow of {{continue}}
    pass


def execute(template: Template, data: Any, functions: Mapping[str, Callable[..., Any]]) -> str:
    """The text that a template gives for `data`; `TemplateError` is worded as Go's."""
    return _Run(template, data, functions).text()


class _Run:
    def __init__(self, template: Template, data: Any, functions: Mapping[str, Callable[..., Any]]) -> None:
        self._template = template
        self._data = data
        self._functions = {**FUNCTIONS, **functions, "tmpl": self._tmpl}
        self._out: list[str] = []
        self._size = 0
        self._steps = 0
        self._calls = 0
        self._name = template.name
        self._node: Any = None
        self._variables: list[tuple[str, Any]] = [("$", data)]

    def text(self) -> str:
        self._walk_all(self._template.body, self._data)
        return "".join(self._out)

    def _fail(self, message: str) -> NoReturn:
        name, text, node = self._template.name, self._template.text, self._node
        if node is None:
            raise TemplateError(f"template: {name}: {message}")
        before = text[: node.position]
        line = before.count("\n") + 1
        column = len(before[before.rfind("\n") + 1 :].encode(errors="replace"))
        raise TemplateError(f"template: {name}:{line}:{column}: executing {quoted(self._name)} at <{node}>: {message}")

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            self._fail(f"more than {MAX_STEPS} steps")

    def _write(self, text: str) -> None:
        self._size += len(text)
        if self._size > MAX_OUTPUT:
            self._fail(f"result is longer than {MAX_OUTPUT} characters")
        self._out.append(text)

    # Nodes

    def _walk_all(self, nodes: Iterable[Node], dot: Any) -> None:
        for node in nodes:
            self._step()
            self._walk(node, dot)

    def _walk(self, node: Node, dot: Any) -> None:
        match node:
            case Text(text=text):
                self._write(text)
            case Action(pipe=pipe):
                self._node = node
                value = self._pipe(pipe, dot)
                if not pipe.names:
                    self._write("<no value>" if value is None else text_of(value))
            case Branch(kind="range"):
                self._range(node, dot)
            case Branch():
                self._choose(node, dot)
            case Invoke(name=name, pipe=pipe):
                self._node = node
                self._invoke(name, None if pipe is None else self._pipe(pipe, dot))
            case Jump(kind="break"):
                raise _Break
            case Jump():
                raise _Continue

    def _choose(self, node: Branch, dot: Any) -> None:
        scope = len(self._variables)
        self._node = node
        value = self._pipe(node.pipe, dot)
        if is_true(value):
            self._walk_all(node.body, value if node.kind == "with" else dot)
        else:
            self._walk_all(node.other, dot)
        del self._variables[scope:]

    def _range(self, node: Branch, dot: Any) -> None:
        scope = len(self._variables)
        self._node = node
        value = self._pipe(node.pipe, dot)
        pairs = self._pairs(value)
        inner = len(self._variables)
        count = 0
        try:
            for key, element in pairs:
                count += 1
                self._step()
                self._bind(node.pipe, key, element, isinstance(value, int))
                with suppress(_Continue):
                    self._walk_all(node.body, element)
                del self._variables[inner:]
        except _Break:
            pass
        if not count:
            self._walk_all(node.other, dot)
        del self._variables[scope:]

    def _pairs(self, value: Any) -> Iterable[tuple[Any, Any]]:  # noqa: RET503 - _fail never returns
        if isinstance(value, dict):
            return [(key, value[key]) for key in sorted(value)]
        if isinstance(value, list):
            return enumerate(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return ((number, number) for number in range(max(value, 0)))
        if value is None or isinstance(value, NoValue):
            return ()
        self._fail(f"range can't iterate over {text_of(value)}")

    def _bind(self, pipe: Pipe, key: Any, element: Any, is_number: bool) -> None:
        values = (element,) if len(pipe.names) == 1 else (key, element)
        if is_number and len(pipe.names) > 1:
            self._fail(f"can't use {text_of(element)} to iterate over more than one variable")
        for name, value in zip(pipe.names, values, strict=False):
            self._set(name, value, pipe.assigns)

    def _invoke(self, name: str, value: Any) -> None:
        body = self._template.body if name == self._template.name else self._template.defined.get(name)
        if body is None:
            self._fail(f"template {quoted(name)} not defined")
        if self._calls >= MAX_CALLS:
            self._fail(f"exceeded maximum template depth ({MAX_CALLS})")
        outer = self._variables, self._name
        self._variables, self._name = [("$", value)], name
        self._calls += 1
        self._walk_all(body, value)
        self._calls -= 1
        self._variables, self._name = outer

    def _tmpl(self, name: Any, value: Any) -> str:
        outer, self._out = self._out, []
        self._invoke(str(name), value)
        text, self._out = "".join(self._out), outer
        return text

    # Variables

    def _set(self, name: str, value: Any, assigns: bool) -> None:
        if assigns:
            for place in range(len(self._variables) - 1, -1, -1):
                if self._variables[place][0] == name:
                    self._variables[place] = (name, value)
                    return
        self._variables.append((name, value))

    def _variable(self, name: str) -> Any:  # noqa: RET503 - _fail never returns
        for known, value in reversed(self._variables):
            if known == name:
                return value
        self._fail(f"undefined variable: {name}")

    # Pipelines

    def _pipe(self, pipe: Pipe, dot: Any) -> Any:
        self._step()
        self._node = pipe
        value: Any = _ABSENT
        for command in pipe.commands:
            value = self._command(command, dot, value)
        for name in pipe.names:
            self._set(name, value, pipe.assigns)
        return value

    def _command(self, command: Command, dot: Any, final: Any) -> Any:
        first = command.args[0]
        args = command.args[1:]
        self._node = first
        match first:
            case Identifier(name=name):
                return self._function(name, command, dot, final)
            case Field():
                return self._fields(dot, first, args, dot, final)
            case Variable(name=name, names=names) if names:
                return self._fields(self._variable(name), first, args, dot, final)
            case Chain(node=inner):
                return self._fields(self._operand(inner, dot), first, args, dot, final)
        if args or final is not _ABSENT:
            self._fail(f"can't give argument to non-function {first}")
        if isinstance(first, Nil):
            self._fail("nil is not a command")
        return self._operand(first, dot)

    def _operand(self, node: Operand, dot: Any) -> Any:  # noqa: PLR0911 - a case a node
        self._node = node
        match node:
            case Dot():
                return dot
            case Nil():
                return None
            case Literal(value=value):
                return value
            case Field():
                return self._fields(dot, node, (), dot, _ABSENT)
            case Variable(name=name, names=names):
                value = self._variable(name)
                return self._fields(value, node, (), dot, _ABSENT) if names else value
            case Chain(node=inner):
                return self._fields(self._operand(inner, dot), node, (), dot, _ABSENT)
            case Identifier(name=name):
                return self._function(name, Command(node.position, (node,)), dot, _ABSENT)
            case Pipe():
                return self._pipe(node, dot)

    def _fields(
        self, value: Any, node: Field | Variable | Chain, args: tuple[Operand, ...], dot: Any, final: Any
    ) -> Any:
        """The fields that `node` names, one after the other; the last may be a method with arguments."""
        names = node.names
        for place, name in enumerate(names):
            self._node = node
            last = place == len(names) - 1
            given = self._arguments(args, dot, final) if last else []
            self._node = node
            try:
                value = member(value, name, given)
            except CallError as error:
                self._fail(str(error))
        return value

    def _arguments(self, args: tuple[Operand, ...], dot: Any, final: Any) -> list[Any]:
        values = [self._operand(arg, dot) for arg in args]
        return values if final is _ABSENT else [*values, final]

    def _function(self, name: str, command: Command, dot: Any, final: Any) -> Any:
        args = command.args[1:]
        if name in ("and", "or"):
            return self._short_circuit(name, args, dot, final)
        values = self._arguments(args, dot, final)
        self._node = command.args[0]
        function = self._functions[name]
        least, most = arity(function)
        if not least <= len(values) <= most:
            wanted = least if least == most else f"at least {least}"
            self._fail(f"wrong number of args for {name}: want {wanted} got {len(values)}")
        try:
            return function(*values)
        except WrongTypeError as error:
            for arg in args:
                if isinstance(arg, Literal) and arg.value is error.value:
                    self._node = arg
                    self._fail(f"expected {error.expected}; found {arg}")
            self._fail(str(error))
        except CallError as error:
            self._node = command
            self._fail(f"error calling {name}: {error}")

    def _short_circuit(self, name: str, args: tuple[Operand, ...], dot: Any, final: Any) -> Any:
        if not args and final is _ABSENT:
            self._fail(f"wrong number of args for {name}: want at least 1 got 0")
        value: Any = NO_VALUE
        for arg in args:
            value = self._operand(arg, dot)
            if is_true(value) == (name == "or"):
                return value
        return value if final is _ABSENT else final
