"""The console's files: pages for paths, caching, headers that keep the page to its own origin."""

from __future__ import annotations

from pathlib import Path

import pytest
from asgi_client import AsgiClient

from windvane.api import console


@pytest.fixture
def built(tmp_path: Path) -> Path:
    root = tmp_path / "_ui"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_text("<title>Windvane</title>")
    (root / "boot.js").write_text("1")
    (root / "assets" / "index-abc123.js").write_text("2")
    (tmp_path / "secret.txt").write_text("no")
    return root


@pytest.fixture
def client(built: Path) -> AsgiClient:
    return AsgiClient(console.routes(built))


@pytest.mark.parametrize("path", ["/", "/services/shop/reviews", "/traces/0af7651916cd43dd8448eb211c80319c"])
def test_every_page_is_the_one_page(client: AsgiClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert "<title>Windvane</title>" in answer.text
    assert answer.headers["cache-control"] == "no-cache"


def test_hashed_files_are_kept_for_ever_and_others_asked_again(client: AsgiClient) -> None:
    asset, boot = client.get("/assets/index-abc123.js"), client.get("/boot.js")
    assert "immutable" in asset.headers["cache-control"]
    assert asset.headers["content-type"].startswith("text/javascript")
    assert boot.headers["cache-control"] == "no-cache"
    assert boot.headers["etag"]


def test_a_missing_asset_is_missing(client: AsgiClient) -> None:
    assert client.get("/assets/index-old.js").status_code == 404


@pytest.mark.parametrize("path", ["/api/nothing", "/v1/nothing", "/-/nothing"])
def test_an_unknown_api_path_is_not_a_page(client: AsgiClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "//secret.txt"]
)
def test_nothing_outside_the_console_is_served(client: AsgiClient, path: str) -> None:
    assert client.get(path).text != "no"


def test_headers_hold_the_page_to_its_origin(client: AsgiClient) -> None:
    headers = client.get("/").headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"


def test_without_a_build_the_page_says_how_to_make_one(tmp_path: Path) -> None:
    client = AsgiClient(console.routes(tmp_path))
    for path in ("/", "/services"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert "npm ci" in answer.text
        assert answer.headers["cache-control"] == "no-store"
