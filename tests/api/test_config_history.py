"""The configuration's history over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from asgi_client import AsgiClient

from windvane.api.windvane import config_history
from windvane.history.book import Book
from windvane.history.recorder import Recorder
from windvane.history.versions import Resource
from windvane.kit.clock import ManualClock
from windvane.store.api import Engine

BASE = "/api/windvane/v1/config/history"
START = 1_700_000_000


def resource(text: str, name: str = "reviews") -> Resource:
    return Resource("VirtualService", "shop", name, "/mesh/routing.yaml", 3, text, text)


@pytest.fixture
def client(engine: Engine) -> AsgiClient:
    book, clock = Book(engine), ManualClock(START * 10**9)
    recorder = Recorder(book, clock)
    recorder.live("aaaa1111", [resource("weight: 90\n")], 1, 2)
    recorder.answered("one", "reviews-v1", "shop", None)
    clock.advance(60)
    recorder.live("bbbb2222", [resource("weight: 50\n"), *(resource("new\n", f"extra-{n}") for n in range(4))], 1, 2)
    clock.advance(0.25)
    recorder.answered("one", "reviews-v1", "shop", None)
    recorder.answered("two", "reviews-v2", "shop", {"LDS": "no such filter", "CDS": "no such cluster"})
    recorder.close()
    return AsgiClient(config_history.routes(book, clock))


def body(client: AsgiClient, path: str = "", **params: Any) -> Any:
    answer = client.get(BASE + path, params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_versions(client: AsgiClient) -> None:
    newest, first = body(client)["versions"]
    assert (newest["number"], newest["version"], newest["live_at"], newest["until"]) == (
        2,
        "bbbb2222",
        START + 60,
        None,
    )
    assert [newest[what] for what in ("added", "changed", "removed")] == [4, 1, 0]
    assert (newest["acknowledged"], newest["rejected"], first["until"]) == (1, 1, START + 60)
    assert first["changes"] == [
        {"change": "added", "kind": "VirtualService", "namespace": "shop", "name": "reviews",
         "file": "/mesh/routing.yaml", "line": 3}
    ]  # fmt: skip
    assert [one["number"] for one in body(client, limit=1)["versions"]] == [2]
    assert [one["number"] for one in body(client, end="2023-11-14T22:13:30Z")["versions"]] == [1]
    assert [one["number"] for one in body(client, service="extra-1")["versions"]] == [2]


def test_one_version_and_what_was_live_at_a_time(client: AsgiClient) -> None:
    one = body(client, "/2")
    assert [(each["node_id"], each["state"], each["type"], each["at"]) for each in one["proxies"]] == [
        ("one", "acknowledged", "", START + 60.25),
        ("two", "rejected", "CDS", START + 60.25),
        ("two", "rejected", "LDS", START + 60.25),
    ]
    assert (one["changes"][-1]["before"], one["changes"][-1]["after"]) == ("weight: 90\n", "weight: 50\n")
    assert len(one["resources"]) == 5
    assert body(client, "/bbbb")["number"] == 2
    assert body(client, "/at", time=START + 59)["number"] == 1
    assert body(client, "/at")["number"] == 2


def test_two_versions_compared(client: AsgiClient) -> None:
    found = body(client, "/diff", **{"from": "2", "to": "1"})
    assert (found["older"]["number"], found["newer"]["number"]) == (2, 1)
    assert [one["change"] for one in found["changes"]] == ["removed"] * 4 + ["changed"]


def test_annotations_as_grafana_has_them(client: AsgiClient) -> None:
    assert body(client, "/annotations", start=START + 60)["annotations"] == [
        {
            "time": (START + 60) * 1000,
            "title": "configuration 2",
            "text": "added VirtualService shop/extra-0; added VirtualService shop/extra-1; "
            "added VirtualService shop/extra-2; 2 more",
            "tags": ["VirtualService"],
            "number": 2,
        }
    ]


WRONG = [
    ("/7", 404, "there is no version 7"),
    ("/x", 400, "'x' is no version"),
    ("/at?time=1", 404, "the history begins later"),
    ("/at?time=soon", 400, "time: 'soon' is neither Unix seconds nor a time"),
    ("/diff?from=1", 400, "from and to name the two versions"),
    ("?limit=all", 400, "limit: 'all' is not a number"),
    ("?start=nan", 400, "start: 'nan' is neither"),
]


def test_what_is_wrong(client: AsgiClient) -> None:
    for path, status, told in WRONG:
        answer: httpx.Response = client.get(BASE + path)
        assert answer.status_code == status, path
        assert told in answer.json()["error"]["message"]
