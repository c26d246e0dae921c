"""A match that is said to be covered by another really is: requests are made up and matched by brute force."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.mesh.checks.shadowing import covers
from windvane.mesh.models import HTTPMatchRequest, StringMatch

PATHS = ("/", "/a", "/A", "/a/b", "/a.b", "/ab", "/b")
VALUES = ("", "a", "ab", "b", "a.b")
PATTERNS = (".*", "/.*", "/a.*", "/a/.*", r"/a\.b", "/a|/b", "/ab?", "a.*", "a", "a+", "[ab]", "*")


@dataclass(frozen=True)
class Request:
    path: str
    method: str
    port: int
    headers: dict[str, str]
    labels: dict[str, str]


def texts(values: tuple[str, ...], patterns: tuple[str, ...]) -> st.SearchStrategy[StringMatch]:
    return st.one_of(
        st.sampled_from(values).map(lambda value: StringMatch(exact=value)),
        st.sampled_from([value for value in values if value]).map(lambda value: StringMatch(prefix=value)),
        st.sampled_from(patterns).map(lambda pattern: StringMatch(regex=pattern)),
    )


values = texts(VALUES, PATTERNS)
headers = st.dictionaries(st.sampled_from(["x-a", "x-b", "X-A"]), values | st.just(StringMatch()), max_size=2)
matches = st.builds(
    HTTPMatchRequest,
    uri=st.none() | texts(PATHS, tuple(pattern for pattern in PATTERNS if pattern != "*")),
    ignore_uri_case=st.booleans(),
    method=st.none() | st.sampled_from([StringMatch(exact="GET"), StringMatch(prefix="G")]),
    headers=headers,
    without_headers=headers,
    port=st.sampled_from([0, 80]),
    source_labels=st.dictionaries(st.just("app"), st.sampled_from(["a", "b"]), max_size=1),
)
requests = st.builds(
    Request,
    path=st.sampled_from(PATHS),
    method=st.sampled_from(["GET", "PUT"]),
    port=st.sampled_from([80, 81]),
    headers=st.dictionaries(st.sampled_from(["x-a", "x-b"]), st.sampled_from(VALUES), max_size=2),
    labels=st.fixed_dictionaries({"app": st.sampled_from(["a", "b"])}),
)


def text_matches(match: StringMatch, text: str, *, fold: bool = False) -> bool:
    if match.is_presence or match.regex == "*":
        return True
    if match.regex is not None:
        return re.fullmatch(match.regex, text) is not None
    wanted = match.exact if match.exact is not None else match.prefix or ""
    wanted, text = (wanted.lower(), text.lower()) if fold else (wanted, text)
    return text == wanted if match.exact is not None else text.startswith(wanted)


def matched(match: HTTPMatchRequest, request: Request) -> bool:
    def has(name: str, wanted: StringMatch) -> bool:
        value = request.headers.get(name.lower())
        return value is not None and text_matches(wanted, value)

    return (
        (match.uri is None or text_matches(match.uri, request.path, fold=match.ignore_uri_case))
        and (match.method is None or text_matches(match.method, request.method))
        and match.port in (0, request.port)
        and match.source_labels.items() <= request.labels.items()
        and all(has(name, wanted) for name, wanted in match.headers.items())
        and not any(has(name, wanted) for name, wanted in match.without_headers.items())
    )


@given(wide=matches, narrow=matches, made=st.lists(requests, min_size=10, max_size=10))
@settings(max_examples=300)
def test_what_is_covered_matches_no_more(wide: HTTPMatchRequest, narrow: HTTPMatchRequest, made: list[Request]) -> None:
    if covers(wide, narrow):
        assert [one for one in made if matched(narrow, one) and not matched(wide, one)] == []


@given(match=matches)
@settings(max_examples=50)
def test_every_match_covers_itself_and_is_covered_by_none(match: HTTPMatchRequest) -> None:
    assert covers(HTTPMatchRequest(), match)
    # The same header in two spellings is one header, asked for twice.
    if len({name.lower() for name in (*match.headers, *match.without_headers)}) == len(
        [*match.headers, *match.without_headers]
    ):
        assert covers(match, match)
