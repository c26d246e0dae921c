"""What an Envoy configuration looks at in a request: its matchers, found wherever they stand, and what they say.

Requests that every matcher tells the same of are one request to the configuration. The configuration is the JSON
form with the proto's field names, as `Resource.to_dict` gives it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import re2  # type: ignore[import-untyped]

Node = Mapping[str, Any]
Test = Callable[[str], bool]
_PATHS = ("prefix", "path", "safe_regex", "path_separated_prefix")
_HEADER_TESTS = (
    "string_match", "present_match", "exact_match", "prefix_match", "suffix_match", "contains_match",
    "safe_regex_match", "range_match",
)  # fmt: skip
_PREFLIGHT = "access-control-request-method"


@dataclass(frozen=True, slots=True)
class Look:
    """One matcher: `of` is path, query or header, `name` the parameter's or header's, `test` what it must be.

    `text` makes two of the same one; a header's or parameter's absence is told apart from any value.
    """

    of: str
    name: str
    text: str
    test: Test

    def says(self, values: Mapping[str, str]) -> bool | None:
        """Whether the value is as wanted; None for none."""
        value = values.get(self.name)
        return None if value is None else self.test(value)


class Lens:
    """All that some configuration looks at."""

    def __init__(self, configuration: Iterable[Node]) -> None:
        found = {(look.of, look.name, look.text): look for node in configuration for look in _looks(node, "")}
        self._paths = [look for look in found.values() if look.of == "path"]
        self._query = [look for look in found.values() if look.of == "query"]
        self._headers = [look for look in found.values() if look.of == "header"]
        self._names = {look.name for look in self._headers if not look.name.startswith(":")}

    @property
    def header_names(self) -> set[str]:
        """The headers that are looked at, pseudo-headers apart."""
        return self._names

    def key(
        self, method: str, authority: str, path: str, headers: Iterable[tuple[str, str]]
    ) -> tuple[bool | None, ...]:
        """What all matchers say: requests with one key are told apart by none."""
        bare, _, query = path.partition("?")
        parameters = dict(parse_qsl(query, keep_blank_values=True)) if self._query else {}
        values = {**dict(headers), ":method": method, ":authority": authority, ":path": path, ":scheme": "http"}
        return (
            *(look.test(bare) for look in self._paths),
            *(look.says(parameters) for look in self._query),
            *(look.says(values) for look in self._headers),
        )


def _looks(node: Any, at: str) -> Iterator[Look]:
    """Every matcher in a part of a configuration; `at` is the field that holds it."""
    if isinstance(node, list):
        for each in node:
            yield from _looks(each, at)
        return
    if not isinstance(node, Mapping):
        return
    if at == "match":
        yield from _route(node)
    elif at == "url_path" and isinstance(node.get("path"), Mapping):
        yield _path(node["path"])
    elif at == "uri_template":
        yield _template(str(node.get("typed_config", {}).get("path_template", "")))
    elif at in ("header", "headers") and any(name in node for name in _HEADER_TESTS):
        yield _header(node)
    elif at == "query_parameters":
        yield Look("query", str(node.get("name", "")), repr(node), _text_test(node.get("string_match", {})))
    elif at == "allow_origin_string_match":
        yield Look("header", "origin", repr(node), _text_test(node))
        yield Look("header", _PREFLIGHT, "", lambda _: True)
    for field, value in node.items():
        yield from _looks(value, field)


def _route(match: Node) -> Iterator[Look]:
    ignore = match.get("case_sensitive") is False
    for field in _PATHS:
        if field in match:
            value = match[field]
            wanted = {"exact" if field == "path" else field: value, "ignore_case": ignore}
            yield _path(wanted)
    policy = match.get("path_match_policy", {}).get("typed_config", {})
    if "path_template" in policy:
        yield _template(str(policy["path_template"]))


def _path(wanted: Node) -> Look:
    return Look("path", "", repr(wanted), _text_test(wanted))


def _template(template: str) -> Look:
    """`*` is a segment, `**` any number of them, `{name=…}` either under a name."""
    bare = re.sub(r"\{\w+(?:=([^}]*))?\}", lambda found: found[1] or "*", template)
    pieces = re.split(r"(\*\*?)", bare)
    pattern = "".join({"*": "[^/]+", "**": ".*"}.get(piece, re2.escape(piece)) for piece in pieces)
    return Look("path", "", f"template {template}", _regex_test(pattern))


def _header(node: Node) -> Look:
    name = str(node.get("name", "")).lower()
    if "string_match" in node:
        return Look("header", name, repr(node["string_match"]), _text_test(node["string_match"]))
    for field, plain in (("exact_match", "exact"), ("prefix_match", "prefix"), ("suffix_match", "suffix"),
                         ("contains_match", "contains"), ("safe_regex_match", "safe_regex")):  # fmt: skip
        if field in node:
            return Look("header", name, repr({plain: node[field]}), _text_test({plain: node[field]}))
    if "range_match" in node:
        return Look("header", name, repr(node["range_match"]), _range_test(node["range_match"]))
    return Look("header", name, "", lambda _: True)


def _range_test(wanted: Node) -> Test:
    start, end = int(wanted.get("start", 0)), int(wanted.get("end", 0))

    def test(value: str) -> bool:
        return re.fullmatch(r"-?\d{1,18}", value) is not None and start <= int(value) < end

    return test


def _text_test(wanted: Node) -> Test:
    """Envoy's StringMatcher; one that is not known tells every two values apart by nothing, and is left out."""
    fold = bool(wanted.get("ignore_case"))

    def prepared(text: str) -> str:
        return text.lower() if fold else text

    if "safe_regex" in wanted:
        return _regex_test(str(wanted["safe_regex"].get("regex", "")))
    for field, test in _TESTS.items():
        if field in wanted:
            own = prepared(str(wanted[field]))
            return lambda value: test(prepared(value), own)
    return lambda _: True


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "exact": lambda value, own: value == own,
    "prefix": str.startswith,
    "suffix": str.endswith,
    "contains": lambda value, own: own in value,
    "path_separated_prefix": lambda value, own: value == own or value.startswith(f"{own}/"),
}


def _regex_test(pattern: str) -> Test:
    try:
        compiled = re2.compile(pattern)
    except re2.error:
        return lambda _: False  # Envoy refuses it as well
    return lambda value: compiled.fullmatch(value) is not None
