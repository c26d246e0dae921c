"""Helm charts, kustomizations, and what `helm template` and `kustomize build` print."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from windvane.cli import analyze, test, try_
from windvane.kit.errors import BadInputError
from windvane.mesh.files import FileSource, LoadResult
from windvane.mesh.packaging import by_source

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: NAME}\nspec: {ports: [{name: http, port: 80}]}\n"


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def service(name: str) -> str:
    return SERVICE.replace("NAME", name)


def read(path: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """Services, and findings but for notes, each with its file."""
    result = FileSource([path]).load()
    told = [(item.code, Path(item.file).name) for item in result.findings if item.level != "info"]
    return names(result), told


def names(result: LoadResult) -> list[str]:
    return [host.partition(".")[0] for host in result.view.services] if result.view else []


CHART = {
    "web/Chart.yaml": "apiVersion: v2\nname: web\n",
    "web/values.yaml": "replicas: 2\n",
    "web/templates/vs.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: {{ .Values.name }}}\n",
}


def test_a_chart_is_explained_and_what_stands_beside_it_is_read(tmp_path: Path) -> None:
    write(tmp_path, {**CHART, "plain.yaml": service("a")})
    assert read(tmp_path) == (["a"], [("WV0106", "Chart.yaml")])


def test_a_chart_alone_says_what_to_do(tmp_path: Path) -> None:
    write(tmp_path, CHART)
    done = CliRunner().invoke(try_.command, [str(tmp_path / "web"), "-r", "http://a/"])
    assert isinstance(done.exception, BadInputError)
    assert f"helm template {tmp_path / 'web'} |" in done.exception.message


def test_a_template_is_not_called_bad_yaml(tmp_path: Path) -> None:
    file = write(tmp_path, CHART) / "web/templates/vs.yaml"
    [found] = FileSource([file]).load().findings
    assert (found.code, found.line) == ("WV0108", 3)


LISTED = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n"


@pytest.mark.parametrize(
    ("files", "services", "findings"),
    [
        ({"kustomization.yaml": LISTED, "a.yaml": service("a"), "b.yaml": service("b")}, ["a"], []),
        ({"Kustomization": f"{LISTED}namePrefix: x-\n", "a.yaml": service("a")}, [], [("WV0107", "Kustomization")]),
        ({"kustomization.yml": LISTED}, [], [("WV0107", "kustomization.yml")]),
        (
            {
                "base/kustomization.yaml": LISTED,
                "base/a.yaml": service("a"),
                "prod/kustomization.yaml": "resources: [../base]\npatches: [{path: p.yaml}]\n",
                "prod/p.yaml": "a: [",
            },
            ["a"],
            [("WV0107", "kustomization.yaml")],
        ),
        (
            {
                "all/kustomization.yaml": "resources: [../base, ../base/a.yaml]\n",
                "base/kustomization.yaml": LISTED,
                "base/a.yaml": service("a"),
            },
            ["a"],
            [],
        ),
        ({"kustomization.yaml": "resources: ['https://x.example/y']\n"}, [], [("WV0107", "kustomization.yaml")]),
        ({"kustomization.yaml": "resources: [", "a.yaml": service("a")}, [], []),
    ],
)
def test_kustomizations(
    tmp_path: Path, files: dict[str, str], services: list[str], findings: list[tuple[str, str]]
) -> None:
    assert read(write(tmp_path, files)) == (services, findings)


RENDERED = f"""---
# Source: web/templates/service.yaml
{service("a")}---
# Source: web/templates/service.yaml
{service("b").replace("port: 80", "port: 0")}---
# Source: web/templates/empty.yaml
# nothing is switched on
---
# Source: web/crds/x.yaml
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: x.example.com}}
---
---
apiVersion: v1
kind: List
items:
- {{apiVersion: v1, kind: Service, metadata: {{name: c}}, spec: {{ports: [{{name: http, port: 0}}]}}}}
"""


def test_findings_of_a_rendered_chart_name_its_templates() -> None:
    done = CliRunner().invoke(analyze.command, ["-"], input=RENDERED)
    told = [line for line in done.output.splitlines() if "[" in line and "|" not in line]
    assert done.exit_code == 1
    assert told[0].startswith("-:26: error [IST0106] Service default/c spec.ports[0].port: port 0")
    assert told[1].startswith(
        "web/templates/service.yaml:9: error [IST0106] Service default/b spec.ports[0].port: port 0"
    )
    assert "     9 | spec: {ports: [{name: http, port: 0}]}" in done.output
    assert told[2] == "info [WV0207] objects of kinds without a meaning here are ignored: CustomResourceDefinition 1"


def test_a_comment_within_a_document_is_none_of_helms() -> None:
    text = "a: 1\n# Source: x.yaml\nb: 2\n"
    assert list(by_source(text, "f")) == [("f", text)]


def test_tests_and_configuration_come_from_one_standard_input() -> None:
    tests = "apiVersion: windvane.dev/v1\nkind: RequestTests\ntests: [{request: http://nowhere.x/, expect: {}}]\n"
    done = CliRunner().invoke(test.command, ["-", "--match", "nowhere"], input=f"{service('a')}---\n{tests}")
    assert done.exception is not None
    assert "nowhere.x is no host of the mesh" in str(done.exception)
