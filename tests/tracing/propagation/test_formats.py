"""Which headers are in use, by what spans carry; and that what is advised works."""

from __future__ import annotations

import ast
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.tracing.propagation.advice import LANGUAGES, advise
from windvane.tracing.propagation.formats import (
    B3_MULTI,
    B3_SINGLE,
    DATADOG,
    FORMATS,
    JAEGER,
    MARKS,
    SKYWALKING,
    W3C,
    XRAY,
    Format,
    Signs,
    header_names,
    language_of_agent,
    language_of_runtime,
    recognise,
)


def headers(*names: str) -> Signs:
    return Signs(spans=9, headers=frozenset(names))


@pytest.mark.parametrize(
    ("signs", "format_", "certainty"),
    [
        (Signs(spans=9, proxies=9, envoy_otel=9), W3C, "seen"),
        (Signs(spans=9, tracestates=2), W3C, "seen"),
        (Signs(spans=9, sdks=frozenset({"opentelemetry"})), W3C, "likely"),
        (Signs(spans=9, proxies=9), B3_MULTI, "likely"),
        (Signs(spans=9, proxies=9, dated_ids=9), XRAY, "likely"),
        (Signs(spans=9, dated_ids=9), XRAY, "likely"),
        (Signs(spans=9, proxies=9, keys=frozenset({"_dd.p.tid"})), DATADOG, "seen"),
        (Signs(spans=9, keys=frozenset({"sw8.trace_id"})), SKYWALKING, "seen"),
        (Signs(spans=9, keys=frozenset({"jaeger.version"}), short_ids=9), JAEGER, "likely"),
        (Signs(spans=9, short_ids=9), B3_MULTI, "likely"),
        *((headers(one.headers[0]), one, "seen") for one in FORMATS),
    ],
)
def test_a_format_is_known_by_its_signs(signs: Signs, format_: Format, certainty: str) -> None:
    assert [(one.format, one.certainty) for one in recognise(signs)] == [(format_, certainty)]


def test_what_is_seen_comes_before_what_is_likely_and_nothing_twice() -> None:
    signs = Signs(spans=9, proxies=9, headers=frozenset({"b3"}), sdks=frozenset({"opentelemetry"}), tracestates=1)
    assert [(one.format, one.certainty) for one in recognise(signs)] == [
        (B3_SINGLE, "seen"), (W3C, "seen"), (B3_MULTI, "likely")
    ]  # fmt: skip


@pytest.mark.parametrize("signs", [Signs(), Signs(spans=9), Signs(spans=2, dated_ids=2), Signs(spans=9, short_ids=8)])
def test_without_signs_nothing_is_claimed(signs: Signs) -> None:
    assert recognise(signs) == []


@settings(max_examples=60, deadline=None)
@given(st.builds(
    Signs, *[st.integers(0, 20)] * 6, st.frozensets(st.sampled_from([name for one in FORMATS for name in one.headers])),
    st.frozensets(st.sampled_from(MARKS)), st.frozensets(st.sampled_from(["opentelemetry", "envoy", ""])),
))  # fmt: skip
def test_any_signs_are_read_and_each_format_told_once(signs: Signs) -> None:
    found = recognise(signs)
    assert len({one.format for one in found}) == len(found)
    assert all(one.evidence for one in found)


def test_recorded_headers_are_read_in_both_spellings() -> None:
    keys = ["http.request.header.x-b3-traceid", "http.request.header.uber_trace_id", "http.url"]
    assert header_names(keys) == {"x-b3-traceid", "uber-trace-id"}


@pytest.mark.parametrize(
    ("agent", "language"),
    [("python-requests/2.31.0", "python"), ("Go-http-client/1.1", "go"), ("okhttp/4.12.0", "java"), ("curl/8", ""),
     ("axios/1.6", "nodejs"), ("Mozilla/5.0", ""), ("", "")],
)  # fmt: skip
def test_clients_tell_their_language(agent: str, language: str) -> None:
    assert language_of_agent(agent) == language


def test_runtimes_tell_their_language() -> None:
    runtimes = ["CPython", "OpenJDK Runtime Environment", "nodejs", "go", ".NET", "Zig"]
    assert [language_of_runtime(one) for one in runtimes] == ["python", "java", "nodejs", "go", "dotnet", ""]


def snippet(language: str, *formats: Format) -> str:
    return advise(formats, language, keeps_request_id=False, own_traces=False, shortened=False).snippet


def test_the_python_snippet_hands_on_what_it_should() -> None:
    names: dict[str, object] = {}
    exec(compile(ast.parse(snippet("python", B3_MULTI)), "snippet", "exec"), names)
    copy = names["trace_headers"]
    assert callable(copy)
    assert copy({"x-b3-traceid": "1", "cookie": "c", "x-request-id": "r"}) == {"x-request-id": "r", "x-b3-traceid": "1"}


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_javascript_snippet_hands_on_what_it_should() -> None:
    script = snippet("nodejs", W3C) + (
        "\nconst made = traceHeaders({ headers: { traceparent: '00-1', cookie: 'c', 'x-request-id': 'r' } });"
        "\nconsole.log(JSON.stringify(made));"
    )
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == '{"x-request-id":"r","traceparent":"00-1"}'


@pytest.mark.parametrize("language", ["python", "go", "java", "nodejs", "dotnet"])
def test_snippets_name_every_header(language: str) -> None:
    text = snippet(language, W3C, DATADOG)
    assert all(f'"{name}"' in text for name in (*W3C.headers, *DATADOG.headers, "x-request-id"))
    assert (
        advise([], language, keeps_request_id=False, own_traces=False, shortened=False).language == LANGUAGES[language]
    )


def test_advice_says_what_is_wrong() -> None:
    def text(**wrong: bool) -> str:
        given_ = {"keeps_request_id": False, "own_traces": False, "shortened": False, **wrong}
        return advise([JAEGER], "cobol", **given_).text

    assert text().startswith(
        "Copy these headers of a request, unchanged, to each call made for it: x-request-id, uber-"
    )
    assert "OTEL_PROPAGATORS must have jaeger" in text()
    assert text(keeps_request_id=True).startswith("The application hands on x-request-id alone: copy uber-trace-id")
    assert "its tracer does not read the header" in text(own_traces=True)
    assert "cuts trace ids to 64 bits" in text(shortened=True)
    assert advise([SKYWALKING], "", keeps_request_id=False, own_traces=False, shortened=False).snippet == ""
