"""`windvane anomalies`: what people and programs are told of incidents, and exit codes."""

from __future__ import annotations

from typing import Any

import click
import httpx
import orjson
import pytest
from click.testing import CliRunner

from windvane.cli import anomalies
from windvane.kit.errors import BadInputError

START = 1_767_787_200
WATCHING = {"since": START, "last": START, "services": 2, "scopes": 9, "days": 3.25, "learning": None, "trouble": None}
INCIDENT = {
    "id": "abcd1234", "start": START, "end": None, "open": True, "severity": "page", "service": "cart",
    "namespace": "shop", "title": "cart answers in 200 ms, 2.0 times the usual 100 ms",
    "anomalies": [
        {"scope": {"kind": "edge", "namespace": "shop", "service": "cart", "detail": "front.shop"}, "signal": "latency",
         "start": START, "end": START + 60, "open": True, "factor": 2.0, "score": 9.0, "expected": 100.0,
         "seen": 200.0, "unit": "ms"},
    ],
    "cause": {"text": "cart itself", "service": "cart", "namespace": "shop", "caller": None, "confidence": 0.8},
    "changes": [{"at": START - 60, "kind": "configuration", "text": "configuration 2"}], "feedback": None,
    "signals": [], "events": [{"at": START, "text": "noticed: latency of calls from front to cart"}],
    "why": {"explanation": [{"text": "cart is slow.", "ref": None}],
            "causes": [{"text": "cart itself", "confidence": 0.8}], "notes": []},
}  # fmt: skip


class Server:
    """Answers what it is told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answer: Any = {"start": START, "end": START + 600, "watching": WATCHING, "incidents": [INCIDENT]}
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    def request(self, method: str, url: str, **given: Any) -> httpx.Response:
        self.asked.append((method, httpx.URL(url).path.removeprefix("/api/windvane/v1/"), given))
        return httpx.Response(200, content=orjson.dumps(self.answer))

    def run(self, *arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(anomalies.command, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    found = Server()
    monkeypatch.setattr(httpx, "request", found.request)
    return found


def test_incidents_are_listed_and_one_that_goes_on_is_exit_code_1(server: Server) -> None:
    code, text = server.run("--since", "1h", "--open", "--service", "cart")
    assert code == 1
    assert "1 incident since 01-07 12:00; 2 services watched (9 scopes), 3.2 days known" in text
    assert "abcd1234" in text
    assert server.asked[0][:2] == ("GET", "incidents")
    assert server.asked[0][2]["params"] == {"since": "1h", "service": "cart", "limit": 100, "open": "true"}
    server.answer["incidents"] = []
    code, text = server.run("--output", "json")
    assert (code, orjson.loads(text)["incidents"]) == (0, [])


@pytest.mark.parametrize(
    ("watching", "told"),
    [
        ({"trouble": "the store does not answer"}, "not watching: the store does not answer"),
        ({"learning": 0.25}, "history is being learnt (25%)"),
        ({"last": None}, "nothing was judged yet"),
    ],
)
def test_why_nothing_is_judged_is_told(server: Server, watching: dict[str, Any], told: str) -> None:
    server.answer |= {"watching": WATCHING | watching, "incidents": []}
    assert server.run()[1].strip() == f"0 incidents since 01-07 12:00; {told}"


def test_one_incident_with_cause_changes_and_events(server: Server) -> None:
    server.answer = INCIDENT
    code, text = server.run("show", "abcd")
    assert code == 1
    for told in (
        "abcd1234 (page): cart answers in 200 ms", "cart is slow.",
        "1. cart itself (confidence 80%)", "Changed shortly before:", "01-07 11:59  configuration 2",
        "noticed: latency of calls from front to cart",
    ):  # fmt: skip
        assert told in text
    with pytest.raises(BadInputError, match="'a/b' is no incident"):
        server.run("show", "a/b")


def test_feedback_is_sent_and_its_effect_told(server: Server) -> None:
    server.answer = INCIDENT | {"events": [{"at": START, "text": "said to be no anomaly: import"}]}
    code, text = server.run("feedback", "abcd1234", "not-an-anomaly", "--note", "import")
    assert (code, text) == (0, "abcd1234: said to be no anomaly: import\n")
    method, path, given = server.asked[0]
    assert (method, path) == ("POST", "incidents/abcd1234/feedback")
    assert orjson.loads(given["content"]) == {"verdict": "not-an-anomaly", "note": "import"}
    server.run("feedback", "abcd1234", "none")
    assert orjson.loads(server.asked[1][2]["content"])["verdict"] == ""


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--slo", "0.99"), "--slo needs --history"),
        (("--open", "--history", "8d"), "--open tells of what was noticed"),
    ],
)
def test_options_that_do_not_go_together(server: Server, given: tuple[str, ...], told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        server.run(*given)


def test_it_is_a_group_that_does_its_work_without_a_subcommand() -> None:
    assert isinstance(anomalies.command, click.Group)
    assert sorted(anomalies.command.commands) == ["feedback", "show"]
