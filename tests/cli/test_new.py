"""`windvane new`: what it writes is accepted by the mesh it is for, and nothing else is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windvane.cli import try_
from windvane.cli.new import command
from windvane.kit.errors import BadInputError
from windvane.mesh.files import FileSource

MESH = """
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop},
 spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}}
---
{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {name: web-v1, namespace: shop},
 spec: {labels: {app: web, version: v1.0}, serviceAccount: web}}
---
{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {name: web-v2, namespace: shop},
 spec: {labels: {app: web, version: v2}}}
"""
EVERY = {
    "canary": ["web", "--to", "v1.0=90", "--to", "v2=10"],
    "ab-header": ["web", "--variant", "v2", "--default", "v1.0", "--header", "x-group=b"],
    "ab-cookie": ["web", "--variant", "v2", "--default", "v1.0", "--cookie", "group=b.1", "--port", "80"],
    "fault-all": ["web", "--delay", "2s", "--percent", "0.5"],
    "fault-some": ["web", "--delay", "2s", "--abort", "503", "--percent", "10", "--header", "end-user=jason"],
    "timeout": ["web", "3s"],
    "retry": ["web", "--attempts", "3", "--per-try", "250ms", "--on", "5xx,reset"],
    "retry-off": ["web", "--attempts", "0"],
    "mtls": ["STRICT"],
    "mtls-port": ["STRICT", "--workload", "app=web", "--port-mode", "8080=permissive"],
    "allow": ["web", "--from", "web", "--from-namespace", "shop", "--method", "GET", "--workload-port", "8080"],
    "deny": ["web", "--path", "/admin*", "--workload", "version=v2"],
}


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    file = tmp_path / "mesh.yaml"
    file.write_text(MESH)
    return file


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


@pytest.mark.parametrize("name", EVERY)
def test_what_is_printed_fits_the_mesh(name: str, mesh: Path) -> None:
    result = run(name.partition("-")[0], *EVERY[name], "-n", "shop", "--with", str(mesh), "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    made = mesh.with_name("made.yaml")
    made.write_text(result.stdout)
    assert FileSource([mesh, made]).load().findings == ()


def test_a_canary_is_a_route_and_its_subsets(mesh: Path) -> None:
    text = run("canary", *EVERY["canary"], "-n", "shop", "--with", str(mesh), "--dry-run").stdout
    routes, rule = yaml.safe_load_all(text)
    assert routes["spec"]["http"][0]["route"] == [
        {"destination": {"host": "web", "subset": "v1-0"}, "weight": 90},
        {"destination": {"host": "web", "subset": "v2"}, "weight": 10},
    ]
    assert rule["spec"]["subsets"][0] == {"name": "v1-0", "labels": {"version": "v1.0"}}


def test_a_fault_for_some_leaves_all_others_alone() -> None:
    (routes,) = yaml.safe_load_all(run("fault", *EVERY["fault-some"], "--dry-run").stdout)
    some, others = routes["spec"]["http"]
    assert some["match"] == [{"headers": {"end-user": {"exact": "jason"}}}]
    assert some["fault"]["abort"] == {"httpStatus": 503, "percentage": {"value": 10.0}}
    assert others == {"route": [{"destination": {"host": "web"}}]}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["timeout", "web", "3x"], "WV0203"),
        (["timeout", "nobody", "3s"], "IST0101"),
        (["retry", "web", "--attempts", "-1"], "IST0106"),
        (["fault", "web", "--abort", "99", "--percent", "5"], "IST0106"),
        (["canary", "web", "--to", "v1.0=1", "--to", "v9=1"], "IST0173"),
    ],
)
def test_what_is_wrong_is_told_and_not_written(
    arguments: list[str], words: str, mesh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(mesh.parent)
    result = run(*arguments, "-n", "shop", "--with", str(mesh))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert words in result.stderr
    assert list(mesh.parent.iterdir()) == [mesh]


def test_routes_of_a_service_that_has_some_are_refused(mesh: Path) -> None:
    mesh.write_text(MESH + "---\n" + run("timeout", "web", "1s", "-n", "shop", "--dry-run").stdout)
    result = run("retry", "web", "--attempts", "1", "-n", "shop", "--with", str(mesh), "--dry-run")
    assert result.exit_code == 1
    assert "WV0208" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["canary", "web"],
        ["canary", "web", "--to", "v1"],
        ["canary", "web", "--to", "v1=many"],
        ["ab", "web", "--variant", "a", "--default", "b"],
        ["ab", "web", "--variant", "a", "--default", "b", "--cookie", "a=1", "--cookie", "b=1"],
        ["fault", "web", "--percent", "5"],
        ["allow", "web"],
        ["mtls", "STRICT", "--port-mode", "http=DISABLE"],
        ["timeout", "web", "3s", "--try", "GET http://web/"],
    ],
)
def test_usage(arguments: list[str]) -> None:
    assert run(*arguments, "--dry-run").exit_code == 2


def test_a_file_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("timeout", "web", "3s").exit_code == 0
    written = Path("web-timeout.yaml").read_text()
    assert written == run("timeout", "web", "3s", "--dry-run").stdout
    again = run("timeout", "web", "9s")
    assert isinstance(again.exception, BadInputError)
    assert Path("web-timeout.yaml").read_text() == written
    assert run("timeout", "web", "9s", "--file", "other.yaml").exit_code == 0


def test_it_is_tried_with_the_mesh(mesh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(try_.command, "main", lambda arguments, **_: asked.append(arguments))
    monkeypatch.chdir(mesh.parent)
    result = run("timeout", "web", "3s", "-n", "shop", "--with", str(mesh), "--try", "GET http://web.shop/")
    assert result.exit_code == 0
    ((first, draft, *rest),) = asked
    assert (first, Path(draft).name) == (str(mesh), "web-timeout.yaml")
    assert rest == ["--request", "GET http://web.shop/", "--namespace", "shop"]
    assert list(mesh.parent.iterdir()) == [mesh]


words = st.text(max_size=12)


@given(service=words, duration=words, header=words, cookie=words, version=words)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_text_is_made_valid_or_refused(
    service: str, duration: str, header: str, cookie: str, version: str, mesh: Path
) -> None:
    made = mesh.with_name("made.yaml")
    for arguments in (
        ["timeout", "--", service, duration],
        ["ab", f"--variant={version}", "--default=v2", f"--header=x={header}", f"--cookie=c={cookie}", "--", service],
    ):
        result = run(arguments[0], "--dry-run", *arguments[1:])
        assert result.exit_code in (0, 1, 2), result.exception
        if result.exit_code == 0:
            made.write_text(result.stdout, encoding="utf-8")
            assert FileSource([made]).load().accepted
