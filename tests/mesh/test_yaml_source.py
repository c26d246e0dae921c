"""YAML to values with lines: Kubernetes' reading of scalars, documents apart, limits."""

from __future__ import annotations

import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.mesh import yaml_source
from windvane.mesh.decode import decode
from windvane.mesh.files import FileSource
from windvane.mesh.yaml_source import path_text, read_documents


def only(text: str):
    documents, findings = read_documents(text, "f.yaml")
    assert not findings, findings
    assert len(documents) == 1
    return documents[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-1", -1),
        ("1_000", 1000),
        ("0x1F", 31),
        ("010", 8),
        ("-010", -8),
        ("0o10", 8),
        ("0b11", 3),
        ("0", 0),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        (".inf", float("inf")),
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("''", ""),
        ('"1"', "1"),
        ("!!str 1", "1"),
        ("!!int 1", 1),
        ("!!float 1", 1),
        ("2020-01-01", "2020-01-01"),
        ("12:30", "12:30"),
        ("y", "y"),
        ("089", 89.0),
        ("1" * 100, "1" * 100),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_scalars_are_read_as_kubernetes_does(text: str, value: object) -> None:
    read = only(f"a: {text}").value["a"]
    assert read == value
    assert type(read) is type(value)


def test_lines_of_fields_and_elements() -> None:
    document = only("# first\na:\n  - b: 1\n    long_name: [x,\n      y]\n  - {c: 2}\nd:\n  e: 1\n")
    assert [document.line_of(path) for path in [(), ("a",), ("a", 0), ("a", 0, "b"), ("a", 1, "c"), ("d", "e")]] == [
        2,
        2,
        3,
        3,
        6,
        8,
    ]
    assert document.line_of(("a", 0, "longName", 1)) == 5
    assert document.line_of(("a", 0, "long_name", 1, "deeper", 3)) == 5
    assert document.line_of(("nowhere",)) == 2


def test_documents_are_apart() -> None:
    text = (
        "%YAML 1.1\n---\na: 1\n---\nb: [\n---\n# nothing\n---\nc: '\n--- not a marker'\n...\n---\nd: |\n  ---\n  text\n"
    )
    documents, findings = read_documents(text, "f.yaml")
    assert [document.value for document in documents] == [{"a": 1}, "not a marker'", {"d": "---\ntext\n"}]
    assert [(item.code, item.line) for item in findings] == [("WV0101", 5), ("WV0101", 9)]


def test_aliases_and_merge_keys() -> None:
    value = only("a: &a {x: 1, y: [1]}\nb: *a\nc: {<<: *a, x: 2}\nd: {<<: [*a, {z: 3}]}\n").value
    assert value["b"] == {"x": 1, "y": [1]}
    assert value["c"] == {"x": 2, "y": [1]}
    assert value["d"] == {"x": 1, "y": [1], "z": 3}


def test_keys_become_strings() -> None:
    assert only("8080: a\ntrue: b\n").value == {"8080": "a", "true": "b"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: 1\na: 2", "WV0103"),
        ("a: 1\n'a': 2", "WV0103"),
        ("a: *b", "WV0101"),
        ("a: &a [*a]", "WV0101"),
        ("<<: 1", "WV0101"),
        ("? [a]\n: b", "WV0101"),
        ("1.5: a", "WV0101"),
        ("a: !foo b", "WV0101"),
        ("a: !!python/object:os.system x", "WV0101"),
        ("a: \x01", "WV0101"),
        ("\ta: 1", "WV0101"),
        ("[" * 100_000, "WV0102"),
        ("a: {" * 1_000, "WV0102"),
    ],
)
def test_bad_documents_are_one_finding(text: str, code: str) -> None:
    documents, findings = read_documents(text, "f.yaml")
    assert documents == []
    assert [item.code for item in findings] == [code]


def test_billion_laughs_is_refused_at_once() -> None:
    text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
    text += "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))
    start = time.monotonic()
    documents, findings = read_documents(text, "f.yaml")
    assert (documents, [item.code for item in findings]) == ([], ["WV0102"])
    assert time.monotonic() - start < 5


def test_long_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_source, "MAX_TEXT", 10)
    assert [item.code for item in read_documents("a: " + "x" * 10, "f")[1]] == ["WV0102"]


def test_path_text() -> None:
    assert path_text(("spec", "http", 0, "route", 1, "weight")) == "spec.http[0].route[1].weight"
    assert path_text(("headers", "end-user", "x.y/z")) == "headers.end-user['x.y/z']"


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(plain)
def test_what_pyyaml_writes_is_read_back(value: object) -> None:
    text = yaml.safe_dump(value, default_style='"')
    documents, findings = read_documents(text, "f.yaml")
    assert not findings
    assert [document.value for document in documents] == ([value] if value is not None else [])


yamlish = st.lists(
    st.sampled_from(
        ["a:", "- ", "\n", "  ", "{", "}", "[", "]", "&x ", "*x", "<<: ", "---\n", "...\n", "!!int ", "|\n", ">", "#",
         "'", '"', "? ", ": ", ",", "%YAML 1.1\n", "\t", "kind: ", "VirtualService", "spec: ", "apiVersion: ",
         "networking.istio.io/v1", "metadata: ", "name: ", "items: ", "List", "v1", "0x", "1e5",
         "é", "\ufeff", "\u2028"]
    )
    | st.text(max_size=5),
    max_size=40,
).map("".join)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(yamlish)
def test_any_text_gives_documents_or_findings(text: str) -> None:
    documents, findings = read_documents(text, "f.yaml")
    lines = text.count("\n") + text.count("\r") + text.count("\u2028") + text.count("\u2029") + text.count("\x85") + 1
    for document in documents:
        findings.extend(decode(document, "default")[1])
    assert all(0 <= item.line <= lines + 1 for item in findings)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_damaged_configuration_never_breaks_the_loader(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    text = (SAMPLE).splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(text) - 1))
        cut = data.draw(st.integers(0, len(text[index])))
        text[index] = text[index][:cut] + data.draw(yamlish).replace("\n", " ") + text[index][cut:]
    file = tmp_path_factory.mktemp("fuzz") / "mesh.yaml"
    file.write_text("\n".join(text), encoding="utf-8", errors="replace")
    result = FileSource([file]).load()
    assert result.view is not None or result.findings


SAMPLE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [a]
  http:
  - match: [{uri: {prefix: /}, headers: {a: {exact: b}}}]
    timeout: 1s
    fault: {delay: {fixedDelay: 1s, percentage: {value: 1}}}
    route:
    - destination: {host: a, subset: v1, port: {number: 80}}
      weight: 1
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a}
spec:
  host: a
  subsets: [{name: v1, labels: {version: v1}}]
---
apiVersion: v1
kind: Service
metadata: {name: a}
spec:
  selector: {app: a}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: a-v1}
spec: {labels: {app: a, version: v1}, ports: {http: 8080}}
"""
