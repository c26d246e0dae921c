"""The configuration over HTTP: what there is, drafts, trials on real Envoys, and their way into the files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from asgi_client import AsgiClient

from windvane.api.windvane import config_editing, config_resources
from windvane.api.windvane.config_editing import EditSettings
from windvane.kit.clock import SystemClock
from windvane.mesh.files import FileSource, LoadResult
from windvane.mesh.findings import Finding
from windvane.mesh.written import Written

MESH = """\
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {selector: {app: reviews}, ports: [{name: http, port: 9080}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: reviews-v1, namespace: shop, labels: {app: reviews, version: v1}}
spec: {}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: reviews-v2, namespace: shop, labels: {app: reviews, version: v2}}
spec: {}
"""
CANARY = {"kind": "canary", "service": "reviews", "namespace": "shop", "shares": {"v1": 0, "v2": 100}}


class FilesMesh:
    """A mesh of one directory, read anew when it is told."""

    def __init__(self, folder: Path) -> None:
        self._source = FileSource([folder], implied_gateways=True)
        self.roots = (folder,)
        self.result = LoadResult(None)
        self.written: tuple[Written, ...] = ()
        self.texts: dict[str, str] = {}
        self.load()

    def load(self) -> None:
        self.result = self._source.load()
        self.written, self.texts = self._source.written(), self._source.texts()

    def findings(self) -> list[Finding]:
        return list(self.result.findings)

    def load_texts(self, texts: Mapping[str, str]) -> LoadResult:
        return FileSource((), implied_gateways=True).load_texts(texts)


class Face:
    """The routes of a mesh; bodies are sent as JSON from its own page."""

    def __init__(self, folder: Path, settings: EditSettings | None = None) -> None:
        self.mesh = FilesMesh(folder)
        edits = config_editing.routes(self.mesh, settings or EditSettings(), SystemClock())
        self.client = AsgiClient([*config_resources.routes(lambda: self.mesh), *edits])

    def send(self, path: str, body: Any, **headers: str) -> httpx.Response:
        sent = {"content-type": "application/json", "host": "127.0.0.1:9900"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(f"/api/windvane/v1/config/{path}", orjson.dumps(body), headers=sent)

    def drafted(self, **form: Any) -> dict[str, Any]:
        answer = self.send("draft", {"form": {**CANARY, **form}})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def applied(self, drafted: Mapping[str, Any], **changed: Any) -> httpx.Response:
        return self.send("apply", {name: drafted[name] for name in ("yaml", "name", "expected")} | changed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mesh.yaml").write_text(MESH)
    return tmp_path


def message(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["message"])


def test_resources_with_their_findings_and_yaml(folder: Path) -> None:
    rule = "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: odd, namespace: shop}, spec: "
    (folder / "rules.yaml").write_text(f"{rule}{{host: nobody}}}}\n---\n{rule.replace('odd', 'bad')}{{hots: x}}}}\n")
    face = Face(folder)
    body = face.client.get("/api/windvane/v1/config/resources").json()
    assert [(one["kind"], one["name"], one["line"]) for one in body["resources"]] == [
        ("Service", "reviews", 1),
        ("WorkloadEntry", "reviews-v1", 6),
        ("WorkloadEntry", "reviews-v2", 11),
        ("DestinationRule", "odd", 1),
        ("DestinationRule", "bad", 3),
    ]
    assert body["applied"] is False
    assert body["resources"][4]["errors"] > 0
    asked = {"kind": "DestinationRule", "namespace": "shop", "name": "bad"}
    one = face.client.get("/api/windvane/v1/config/resource", asked).json()
    assert one["yaml"].startswith("{apiVersion")
    assert {each["code"] for each in one["findings"]} >= {"WV0201"}
    missing = face.client.get("/api/windvane/v1/config/resource", {**asked, "name": "none"})
    assert (missing.status_code, message(missing)) == (404, "the mesh has no DestinationRule shop/none")


def test_versions_of_services_for_the_forms(folder: Path) -> None:
    face = Face(folder)
    service = {"service": "reviews", "namespace": "shop", "versions": ["v1", "v2"], "ports": [9080], "shares": {}}
    assert face.client.get("/api/windvane/v1/config/resources").json()["services"] == [service]
    face.applied(face.drafted(shares={"v1": 7, "v2": 3}))
    face.mesh.load()
    body = face.client.get("/api/windvane/v1/config/resources").json()
    assert body["services"] == [service | {"shares": {"v1": 7, "v2": 3}}]
    assert body["workloads"] == ["reviews-v1.shop", "reviews-v2.shop"]


def test_a_draft_is_applied_and_the_next_one_changes_it(folder: Path) -> None:
    face = Face(folder)
    first = face.drafted()
    assert [(one["change"], one["kind"]) for one in first["resources"]] == [
        ("added", "VirtualService"),
        ("added", "DestinationRule"),
    ]
    assert first["expected"] == {str(folder / "reviews-canary.yaml"): ""}
    assert face.applied(first).json()["files"] == [str(folder / "reviews-canary.yaml")]
    face.mesh.load()
    second = face.drafted(shares={"v1": 50, "v2": 50})
    assert [one["change"] for one in second["resources"]] == ["changed", "unchanged"]
    answer = face.applied(second)
    face.mesh.load()
    assert face.mesh.result.view is not None
    assert answer.json()["version"] == face.mesh.result.view.version
    assert "weight: 50" in (folder / "reviews-canary.yaml").read_text()
    assert [file.name for file in sorted(folder.iterdir())] == ["mesh.yaml", "reviews-canary.yaml"]


def test_what_a_draft_would_break_is_found(folder: Path) -> None:
    face = Face(folder)
    unknown = face.drafted(shares={"v1": 90, "v9": 10})
    assert any("v9" in one["message"] for one in unknown["findings"])
    assert unknown["refused"] is False
    bad = face.send("draft", {"yaml": unknown["yaml"].replace("weight: 90", "wieght: 90"), "name": "x"}).json()
    assert bad["refused"] is True
    assert {one["code"] for one in bad["findings"]} >= {"WV0201"}
    refused = face.applied(bad)
    assert refused.status_code == 400
    assert "would be refused" in message(refused)
    assert not (folder / "x.yaml").exists()


def test_a_file_that_changed_meanwhile_is_not_written(folder: Path) -> None:
    face = Face(folder)
    face.applied(face.drafted())
    face.mesh.load()
    drafted, file = face.drafted(shares={"v1": 1, "v2": 1}), folder / "reviews-canary.yaml"
    text = f"{file.read_text()}# mine\n"
    file.write_text(text)  # not read yet
    assert "has changed since the draft was made" in message(face.applied(drafted))
    face.mesh.load()  # read
    answer = face.applied(drafted)
    assert (answer.status_code, file.read_text()) == (409, text)
    assert "have changed since the draft was made" in message(answer)


def test_no_way_out_of_the_folder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    face, outside = Face(folder), tmp_path_factory.mktemp("outside") / "routes.yaml"
    for name in ("../x", "/etc/x", "a/b", ".x", ""):
        assert face.send("draft", {"form": None, "yaml": "", "name": name}).status_code == 400
    face.applied(face.drafted())
    (folder / "reviews-canary.yaml").rename(outside)
    (folder / "linked.yaml").symlink_to(outside)
    face.mesh.load()
    answer = face.applied(face.drafted(shares={"v1": 1, "v2": 1}))
    assert answer.status_code == 409
    assert "is not a file of the mesh's own folders" in message(answer)
    assert "weight: 1\n" not in outside.read_text()


def test_only_where_it_is_allowed(folder: Path) -> None:
    face = Face(folder, EditSettings("no Envoys here", "no writing here"))
    drafted = face.drafted()
    assert (drafted["no_trial"], drafted["no_writing"]) == ("no Envoys here", "no writing here")
    assert (face.applied(drafted).status_code, message(face.applied(drafted))) == (409, "no writing here")
    tried = face.send("try", {"yaml": drafted["yaml"], "request": "GET http://reviews.shop:9080/"})
    assert (tried.status_code, message(tried)) == (503, "no Envoys here")


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"content_type": "text/plain"}, "content type 'text/plain': expected application/json"),
        ({"origin": "http://evil.example"}, "a page of http://evil.example may not ask this"),
        ({"sec_fetch_site": "cross-site"}, "a page of another site may not ask this"),
        ({"host": "evil.example", "origin": "http://evil.example"}, "host 'evil.example' is not known"),
    ],
)
def test_pages_of_others_change_nothing(folder: Path, headers: dict[str, str], told: str) -> None:
    face = Face(folder)
    for path in ("draft", "try", "apply"):
        answer = face.send(path, {}, **headers)
        assert answer.status_code == 400
        assert told in message(answer)
    own = face.send("draft", {"form": CANARY}, origin="http://127.0.0.1:9900", sec_fetch_site="same-origin")
    assert own.status_code == 200


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"kind": "canary", "service": "reviews", "shares": {}}, "shares"),
        ({"kind": "canary", "service": "Reviews!", "shares": {"v1": 1}}, "service"),
        ({"kind": "ab", "service": "reviews", "variant": "v2", "default": "v1"}, "a header or a cookie says"),
        ({"kind": "fault", "service": "reviews", "percent": 10}, "a delay or a status says"),
        ({"kind": "deny", "service": "reviews"}, "say who"),
        ({"kind": "magic"}, "form"),
    ],
)
def test_forms_that_say_too_little(folder: Path, form: dict[str, Any], told: str) -> None:
    answer = Face(folder).send("draft", {"form": form})
    assert answer.status_code == 400
    assert told in message(answer)


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ({"kind": "ab", "service": "reviews", "variant": "v2", "default": "v1", "cookies": {"a": "b"}},
         "VirtualService"),
        ({"kind": "fault", "service": "reviews", "percent": 10, "delay": "2s", "abort": 503}, "VirtualService"),
        ({"kind": "timeout", "service": "reviews", "duration": "2s"}, "VirtualService"),
        ({"kind": "retry", "service": "reviews", "attempts": 2, "per_try": "1s", "conditions": "5xx"},
         "VirtualService"),
        ({"kind": "mtls", "mode": "STRICT", "ports": {"9080": "PERMISSIVE"}, "labels": {"app": "reviews"}},
         "PeerAuthentication"),
        ({"kind": "allow", "service": "reviews", "accounts": ["front"], "methods": ["GET"]}, "AuthorizationPolicy"),
    ],
)  # fmt: skip
def test_every_form_makes_what_is_accepted(folder: Path, form: dict[str, Any], kind: str) -> None:
    drafted = Face(folder).send("draft", {"form": {"namespace": "shop", **form}}).json()
    assert kind in {one["kind"] for one in drafted["resources"]}
    assert drafted["refused"] is False


def test_a_draft_is_tried_on_real_envoys(folder: Path) -> None:
    face = Face(folder)
    asked = {"yaml": face.drafted()["yaml"], "request": "GET http://reviews.shop:9080/x", "times": 20}
    body = face.send("try", {**asked, "from": "reviews-v1.shop"}).json()
    assert (body["asker"], body["requests"]) == ("reviews-v1.shop", 20)
    assert [(one["workload"], one["status"], one["count"]) for one in body["outcomes"]] == [
        ("reviews-v2.shop", 200, 20)
    ]
    nobody = face.send("try", {**asked, "from": "nobody.shop"})
    assert nobody.status_code == 400
    assert "no such workload" in message(nobody)
