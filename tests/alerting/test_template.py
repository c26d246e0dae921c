"""Templates of alerts: the same text as the real Prometheus gives, the same complaints, and no way to hurt."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import promtool
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from template_cases import BAD, CASES, SERIES

from windvane.alerting.template import Data, LabelMap, TemplateError, check, expand
from windvane.promql.errors import ExecutionError, ParseError

VALUE = 1234567.5
LABELS = {"__name__": "up", "instance": "a.example.org:8080", "job": "web", "zone": "eu-1"}
DATA = Data(LabelMap(LABELS), LabelMap(env="prod"), "http://host:80/sub", VALUE)


def answer(text: str) -> list[tuple[dict[str, str], float | str]]:
    """What the queries of the cases give on the one series there is."""
    known: dict[str, list[tuple[dict[str, str], float | str]]] = {
        "up": [(LABELS, VALUE)],
        "up > 9e9": [],
        "up or vector(3)": [(LABELS, VALUE), ({}, 3.0)],
    }
    if text not in known:
        raise ParseError(text, 3, "unexpected end of input inside braces")
    return known[text]


def expanded(number: int, text: str) -> str:
    try:
        return expand(f"T{number}", text, DATA, 0, answer)
    except TemplateError as error:
        return f"<error expanding template: {error.message}>"


def complaint(text: str) -> str:
    try:
        check("A", text)
    except TemplateError as error:
        return error.message
    return ""


def test_templates_give_what_is_recorded(golden: Callable[[str, str], None]) -> None:
    shown: dict[str, Any] = {text: expanded(number, text) for number, text in enumerate(CASES)}
    shown |= {text: complaint(text) for text in BAD}
    golden("templates.json", json.dumps(shown, indent=1, ensure_ascii=False) + "\n")


# What 2.42 does in its own way: a nil URL in unit tests, a narrower type of the value, an older parser of Go's.
OTHERWISE = {"{{ externalURL }} {{ pathPrefix }}", "{{ ) }}"}


@pytest.mark.skipif(not promtool.installed(), reason=promtool.MISSING)
def test_templates_give_what_the_real_prometheus_gives(tmp_path: Path) -> None:
    promtool.write_template_test(tmp_path, CASES, SERIES, str(VALUE), "up")
    _, output = promtool.run("test", "rules", "t.yml", cwd=tmp_path)
    theirs = promtool.expansions(output)
    assert len(theirs) == len(CASES), output[:2000]
    for number, text in enumerate(CASES):
        if text not in OTHERWISE:
            wanted = theirs[number].replace("Value float64 }", "Value interface {} }")
            assert expanded(number, text) == wanted, text


@pytest.mark.skipif(not promtool.installed(), reason=promtool.MISSING)
def test_bad_templates_are_refused_in_the_words_of_the_real_prometheus(tmp_path: Path) -> None:
    rules = [{"alert": "A", "expr": "up", "annotations": {f"s{n}": text}} for n, text in enumerate(BAD)]
    (tmp_path / "b.yml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
    _, output = promtool.run("check", "rules", "--lint=none", "b.yml", cwd=tmp_path)
    for number, text in enumerate(BAD):
        if text in OTHERWISE:
            continue
        mark = f'annotation "s{number}": '
        theirs = output.partition(mark)[2].splitlines()[0].strip() if mark in output else ""
        assert complaint(text) == theirs, text


def test_a_query_that_fails_says_so_in_the_result() -> None:
    def fail(_: str) -> list[tuple[dict[str, str], float | str]]:
        raise ExecutionError("no such luck")

    with pytest.raises(TemplateError, match="error calling query: no such luck"):
        expand("A", '{{ query "up" }}', DATA, 0, fail)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{{ range 1000000000 }}x{{ end }}", "more than 100000 steps"),
        ('{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}', "exceeded maximum template depth"),
        ("{{ range 9000 }}" + "x" * 1000 + "{{ end }}", "result is longer than"),
        ("{{ if 1 }}" * 100 + "{{ end }}" * 100, "nests deeper than"),
        ("{{ " + "(" * 200 + "1" + ")" * 200 + " }}", "nests deeper than"),
        ("x" * 300_000 + "{{ 1 }}", "longer than 262144 characters"),
        (
            '{{ printf "%1000000000d" 1 | len }}{{ range 1000 }}{{ printf "%9999d" 1 }}{{ end }}',
            "result is longer than",
        ),
    ],
)
def test_work_and_results_are_bounded(text: str, problem: str) -> None:
    with pytest.raises(TemplateError, match=problem):
        expand("A", text, DATA, 0, answer)


WORDS = """
{{ }} {{- -}} | ( ) . , := = $x $labels $value .Labels .Value .a if else end range with define template block
break continue "a" `b` 'c' 1 1.5 true nil printf print len index eq lt and or not query humanize first "%d"
"%*v" toTime humanizeDuration /* */ args slice js $ @ ¿
"""
PIECES = st.sampled_from([*WORDS.split(), "\n"])


@given(st.lists(PIECES, max_size=25).map(" ".join))
@settings(max_examples=400, deadline=None)
def test_any_text_expands_or_is_refused(text: str) -> None:
    with suppress(TemplateError):
        assert isinstance(expand("A", "{{ 1 }}" + text, DATA, 0, answer), str)


@given(
    st.text("%vdsqxXgGeEfTtcbUo+-# 0*.123[]", max_size=12),
    st.lists(st.sampled_from(["1", "1.5", '"a"', "true", "nil", ".Labels"])),
)
@settings(max_examples=300, deadline=None)
def test_any_format_prints_something(form: str, values: list[str]) -> None:
    text = f"{{{{ printf {json.dumps(form)} {' '.join(values)} }}}}"
    assert isinstance(expand("A", text, DATA, 0, answer), str)
