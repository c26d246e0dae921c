"""Template text to its tree, by recursive descent; what Go's parser refuses is refused with its words.

Functions must be known and variables declared when a template is parsed. Nesting is bounded, so that
hostile text ends in an error.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import NoReturn

from windvane.alerting.template.errors import TemplateError
from windvane.alerting.template.tokens import Token, quoted, tokenize
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
from windvane.kit.errors import BadInputError
from windvane.promql.lexer import Kind
from windvane.promql.lexer import tokenize as promql_tokens

MAX_LENGTH = 256 * 1024
MAX_NESTING = 60
_NOT_FIRST = (Literal, Dot, Nil)
_INT_LIMIT = 1 << 63


@lru_cache(maxsize=2048)
def parse(name: str, text: str, functions: frozenset[str]) -> Template:
    """The tree of `text`; `TemplateError` says what is wrong and in which line, as Go does."""
    if len(text) > MAX_LENGTH:
        raise TemplateError(f"template: {name}:1: longer than {MAX_LENGTH} characters")
    parser = _Parser(name, text, functions)
    body, stop = parser.nodes(())
    if stop is not None:
        parser.fail(f"unexpected {{{{{stop}}}}}")
    return Template(name, text, body, parser.defined)


class _Parser:
    def __init__(self, name: str, text: str, functions: Collection[str]) -> None:
        self._name = name
        self._text = text
        self._functions = functions
        self._tokens = list(tokenize(text))
        self._next = 0
        self._depth = 0
        self._ranges = 0
        self._variables = ["$"]
        self.defined: dict[str, tuple[Node, ...]] = {}

    # Tokens

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _advance(self) -> Token:
        token = self._tokens[self._next]
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def _skip_space(self) -> Token:
        while self._token.kind == "space":
            self._next += 1
        return self._token

    def fail(self, message: str) -> NoReturn:
        line = self._text.count("\n", 0, self._token.position) + 1
        raise TemplateError(f"template: {self._name}:{line}: {message}")

    def _unexpected(self, context: str) -> NoReturn:
        token = self._token
        if token.kind == "error":
            self.fail(token.text)
        self.fail(f"unexpected {token} in {context}")

    def _expect(self, kind: str, context: str) -> Token:
        if self._skip_space().kind != kind:
            self._unexpected(context)
        return self._advance()

    # Nodes

    def nodes(self, stops: tuple[str, ...]) -> tuple[tuple[Node, ...], str | None]:
        """Nodes up to `end`, `else` or the end of the text, and which keyword ended them."""
        self._depth += 1
        if self._depth > MAX_NESTING:
            self.fail(f"nests deeper than {MAX_NESTING} levels")
        found: list[Node] = []
        while True:
            token = self._token
            if token.kind == "text":
                self._advance()
                found.append(Text(token.position, token.text))
                continue
            if token.kind == "eof":
                if stops:
                    self.fail("unexpected EOF")
                break
            if token.kind != "begin":
                self._unexpected("input")
            self._advance()
            word = self._skip_space()
            if word.kind == "keyword" and word.text in ("end", "else"):
                self._advance()
                if word.text not in stops:
                    self.fail(f"unexpected {{{{{word.text}}}}}")
                self._depth -= 1
                return tuple(found), word.text
            found.extend(self._action(word))
        self._depth -= 1
        return tuple(found), None

    def _action(self, word: Token) -> list[Node]:
        if word.kind != "keyword":
            pipe = self._pipe("command", "end")
            return [Action(word.position, pipe)]
        self._advance()
        match word.text:
            case "if" | "with" | "range":
                return [self._branch(word)]
            case "define":
                self._define(word)
                return []
            case "block":
                return [self._block(word)]
            case "template":
                return [self._invoke()]
            case _:
                if not self._ranges:
                    self.fail(f"{{{{{word.text}}}}} outside {{{{range}}}}")
                self._expect("end", f"{{{{{word.text}}}}}")
                return [Jump(word.position, word.text)]

    def _branch(self, word: Token) -> Branch:
        scope = len(self._variables)
        pipe = self._pipe(word.text, "end")
        self._ranges += word.text == "range"
        body, stop = self.nodes(("end", "else"))
        self._ranges -= word.text == "range"
        other: tuple[Node, ...] = ()
        if stop == "else":
            following = self._skip_space()
            chained = following.kind == "keyword" and following.text == word.text and word.text != "range"
            if chained:
                self._advance()
                self._depth += 1
                if self._depth > MAX_NESTING:
                    self.fail(f"nests deeper than {MAX_NESTING} levels")
                other = (self._branch(following),)
                self._depth -= 1
            else:
                self._expect("end", "else")
                other, _ = self.nodes(("end",))
                self._expect("end", "end")
        else:
            self._expect("end", "end")
        del self._variables[scope:]
        return Branch(word.position, word.text, pipe, body, other)

    def _define(self, word: Token) -> None:
        name = self._template_name("define clause")
        self._expect("end", "define clause")
        self.defined[name] = self._separate_nodes()

    def _block(self, word: Token) -> Invoke:
        name = self._template_name("block clause")
        pipe = self._pipe("block clause", "end")
        self.defined.setdefault(name, self._separate_nodes())
        return Invoke(word.position, name, pipe)

    def _separate_nodes(self) -> tuple[Node, ...]:
        """The nodes of a template of its own: it sees no variables but `$`."""
        variables, self._variables = self._variables, ["$"]
        ranges, self._ranges = self._ranges, 0
        body, _ = self.nodes(("end",))
        self._expect("end", "end")
        self._variables, self._ranges = variables, ranges
        return body

    def _invoke(self) -> Invoke:
        position = self._skip_space().position
        name = self._template_name("template clause")
        if self._skip_space().kind == "end":
            self._advance()
            return Invoke(position, name, None)
        return Invoke(position, name, self._pipe("template clause", "end"))

    def _template_name(self, context: str) -> str:
        token = self._skip_space()
        if token.kind not in ("string", "raw"):
            self._unexpected(context)
        self._advance()
        return self._unquoted(token)

    # Pipelines

    def _pipe(self, context: str, end: str) -> Pipe:
        token = self._skip_space()
        names, assigns = self._declaration(context) if token.kind == "variable" else ((), False)
        position = self._skip_space().position
        commands: list[Command] = []
        while True:
            token = self._skip_space()
            if token.kind == end:
                self._advance()
                break
            if token.kind not in _OPERANDS:
                self._unexpected(context)
            commands.append(self._command())
        if not commands:
            self.fail(f"missing value for {context}")
        for place, command in enumerate(commands[1:], 2):
            if isinstance(command.args[0], _NOT_FIRST):
                self.fail(f"non executable command in pipeline stage {place}")
        if not assigns:
            self._variables.extend(names)
        return Pipe(position, tuple(commands), names, assigns)

    def _declaration(self, context: str) -> tuple[tuple[str, ...], bool]:
        """The variables that a pipeline sets, if it begins with any."""
        start = self._next
        names = [self._advance().text]
        if self._skip_space().kind == "comma":
            if context != "range":
                self.fail(f"too many declarations in {context}")
            self._advance()
            if self._skip_space().kind != "variable":
                self.fail("range can only initialize variables")
            names.append(self._advance().text)
            if self._skip_space().kind == "comma":
                self.fail("too many declarations in range")
        if self._skip_space().kind in ("declare", "assign"):
            assigns = self._advance().kind == "assign"
            if assigns:
                for name in names:
                    self._known(name)
            return tuple(names), assigns
        if len(names) > 1:
            self.fail("range can only initialize variables")
        self._next = start
        return (), False

    def _command(self) -> Command:
        position = self._skip_space().position
        args: list[Operand] = []
        while True:
            self._skip_space()
            operand = self._operand()
            if operand is not None:
                args.append(operand)
            token = self._token
            if token.kind == "space":
                continue
            if token.kind == "pipe":
                self._advance()
            elif token.kind not in ("end", "rparen"):
                self._unexpected("operand")
            break
        if not args:
            self.fail("empty command")
        return Command(position, tuple(args))

    def _operand(self) -> Operand | None:  # noqa: RET503 - fail never returns
        node = self._term()
        if node is None or self._token.kind != "field":
            return node
        start = self._token.position
        names: list[str] = []
        while self._token.kind == "field":
            names.append(self._advance().text[1:])
        match node:
            case Field(_, before):
                return Field(start, (*before, *names))
            case Variable(_, name, before):
                return Variable(start, name, (*before, *names))
            case Literal() | Nil() | Dot():
                self.fail(f"unexpected . after term {quoted(str(node))}")
            case _:
                return Chain(start, node, tuple(names))

    def _term(self) -> Operand | None:  # noqa: PLR0911 - a case a token
        token = self._token
        match token.kind:
            case "identifier":
                if token.text not in self._functions:
                    self.fail(f"function {quoted(token.text)} not defined")
                self._advance()
                return Identifier(token.position, token.text)
            case "dot":
                self._advance()
                return Dot(token.position)
            case "nil":
                self._advance()
                return Nil(token.position)
            case "variable":
                self._known(token.text)
                self._advance()
                return Variable(token.position, token.text)
            case "field":
                self._advance()
                return Field(token.position, (token.text[1:],))
            case "bool" | "char" | "number" | "string" | "raw":
                return Literal(token.position, self._literal(token), self._advance().text)
            case "lparen":
                return self._parenthesized()
            case _:
                return None

    def _parenthesized(self) -> Pipe:
        self._depth += 1
        if self._depth > MAX_NESTING:
            self.fail(f"nests deeper than {MAX_NESTING} levels")
        self._advance()
        pipe = self._pipe("parenthesized pipeline", "rparen")
        self._depth -= 1
        return pipe

    def _known(self, name: str) -> None:
        if name not in self._variables:
            self.fail(f"undefined variable {quoted(name)}")

    # Literals

    def _literal(self, token: Token) -> int | float | bool | str:
        match token.kind:
            case "bool":
                return token.text == "true"
            case "string" | "raw":
                return self._unquoted(token)
            case "char":
                value = self._unquoted(Token("string", f'"{token.text[1:-1]}"', token.position))
                if len(value) != 1:
                    self.fail(f"malformed character constant: {token.text}")
                return ord(value)
            case _:
                return self._number(token)

    def _number(self, token: Token) -> int | float:
        digits = token.text.replace("_", "")
        try:
            body = digits.lstrip("+-")
            if body[:2].lower() in ("0x", "0b", "0o"):
                value: int | float = int(digits, 0)
            elif body.isdigit():
                value = int(digits, 8 if len(body) > 1 and body[0] == "0" else 10)
            else:
                value = float(digits)
        except ValueError:
            self.fail(f"bad number syntax: {quoted(token.text)}")
        if isinstance(value, int) and not -_INT_LIMIT <= value < _INT_LIMIT:
            self.fail(f"integer overflow: {quoted(token.text)}")
        return value

    def _unquoted(self, token: Token) -> str:
        if token.kind == "raw":
            return token.text[1:-1].replace("\r", "")
        try:
            first = promql_tokens(token.text)[0]  # PromQL's string literals are Go's
        except BadInputError:
            self.fail("invalid syntax")
        if first.kind is not Kind.STRING or not isinstance(first.value, str):
            self.fail("invalid syntax")
        return first.value


_OPERANDS = {"identifier", "dot", "nil", "variable", "field", "bool", "char", "number", "string", "raw", "lparen"}
