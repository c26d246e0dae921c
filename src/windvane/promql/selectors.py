"""Series selectors and lists of labels, from tokens."""

from __future__ import annotations

from windvane.promql import regex
from windvane.promql.lexer import Kind, Token
from windvane.promql.stream import Stream
from windvane.promql.syntax import METRIC_NAME, Matcher, MatchOp, Selector

_MATCH_OPS = {op.value: op for op in MatchOp}
_NOT_NAMES = frozenset({"bool", "on", "ignoring", "group_left", "group_right", "fill", "fill_left", "fill_right"})
_WORDS = (Kind.IDENTIFIER, Kind.METRIC_IDENTIFIER, Kind.KEYWORD, Kind.AGGREGATOR, Kind.PREPROCESSOR)
_GROUPING = "grouping opts"
_MATCHING = "label matching"


def names_metric(token: Token) -> bool:
    """Whether a word can be a metric's name where an operand stands."""
    if token.kind is Kind.OPERATOR:
        return token.text in ("and", "or", "unless")
    return token.kind in _WORDS and not (token.kind is Kind.KEYWORD and token.text in _NOT_NAMES)


def selector(stream: Stream) -> Selector:
    """A metric's name, matchers in braces, or both."""
    start = stream.token.start
    name = "" if stream.at("{") else stream.advance().raw
    matchers = [Matcher(METRIC_NAME, MatchOp.EQUAL, name)] if name else []
    if stream.at("{"):
        matchers += _matchers(stream)
    return Selector(tuple(matchers), span=stream.span(start), name=name)


def _matchers(stream: Stream) -> list[Matcher]:
    stream.advance()
    matchers: list[Matcher] = []
    while not stream.at("}"):
        matchers.append(_matcher(stream))
        if not stream.accept(","):
            break
    stream.expect("}", _MATCHING, '"," or "}"')
    return matchers


def _matcher(stream: Stream) -> Matcher:
    """`name="value"` with any operator, or a quoted metric's name by itself."""
    label = stream.token
    if label.kind not in (Kind.IDENTIFIER, Kind.STRING):
        stream.unexpected(_MATCHING, 'identifier or "}"')
    stream.advance()
    quoted = label.kind is Kind.STRING
    name = str(label.value) if quoted else label.raw
    if not stream.at(*_MATCH_OPS):
        if not quoted:
            stream.unexpected(_MATCHING, "label matching operator")
        return Matcher(METRIC_NAME, MatchOp.EQUAL, name)
    op = _MATCH_OPS[stream.advance().text]
    if stream.token.kind is not Kind.STRING:
        stream.unexpected(_MATCHING, "string")
    value = str(stream.advance().value)
    if op in (MatchOp.REGEX, MatchOp.NOT_REGEX) and (problem := regex.problem(value)):
        stream.fail(f"error parsing regexp: {problem}", label.start)
    return Matcher(name, op, value)


def labels(stream: Stream) -> tuple[str, ...]:
    """Names in parentheses, such as follow `by` and `on`."""
    stream.expect("(", _GROUPING, '"("')
    names: list[str] = []
    while not stream.at(")"):
        names.append(_label(stream))
        if not stream.accept(","):
            break
    stream.expect(")", _GROUPING, '"," or ")"')
    return tuple(names)


def _label(stream: Stream) -> str:
    token = stream.token
    if token.kind is Kind.STRING:
        if not token.value:
            stream.fail('invalid label name for grouping: ""')
        return str(stream.advance().value)
    word = token.kind in _WORDS or (token.kind is Kind.OPERATOR and token.raw.isalnum())
    if not word or (token.kind is Kind.KEYWORD and token.text.startswith("fill")):
        stream.unexpected(_GROUPING, "label")
    return stream.advance().raw
