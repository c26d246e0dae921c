"""Prometheus's HTTP API: envelopes, numbers, parameters, errors, metadata."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import cramjam
import httpx
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.responses import Response

from windvane.api.app import build_app
from windvane.api.prometheus import StatusInfo, routes, unescape_label
from windvane.api.prometheus_http import api_route, fallback
from windvane.api.prometheus_json import query_data
from windvane.api.prometheus_params import LATEST, Params, duration_seconds, time_ms
from windvane.kit.clock import ManualClock
from windvane.promql import numbers
from windvane.promql.engine import QueryEngine, QuerySettings
from windvane.promql.errors import QueryCancelledError
from windvane.promql.labels import Labels, Pool
from windvane.promql.value import MatrixResult, ScalarResult, VectorResult
from windvane.store.embedded import EmbeddedEngine
from windvane.store.series import SampleWriter

NOW = 1_700_000_000
LABELS = [
    {"__name__": "up", "job": "a", "instance": "1"},
    {"__name__": "up", "job": "b", "instance": "1"},
    {"__name__": "up", "job": "b", "instance": "2", "utf.8": "x"},
    {"__name__": "c_total", "job": "a"},
]


class Client:
    """Requests without sockets."""

    def __init__(self, engine: EmbeddedEngine, settings: QuerySettings | None = None) -> None:
        clock = ManualClock(NOW * 1_000_000_000)
        info = StatusInfo(started_ms=NOW * 1000, retention="15d", directory="/data")
        self._app = build_app([routes(QueryEngine(engine, settings), clock, info)])

    def request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://windvane/api/v1") as client:
                return await client.request(method, path, **kwargs)

        return asyncio.run(send())

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.request("GET", path, params=params)


@pytest.fixture
def client(engine: EmbeddedEngine) -> Client:
    writer = SampleWriter(engine)
    for n in range(10):
        times = np.full(len(LABELS), (NOW - 90 + n * 10) * 1000, np.int64)
        writer.write(LABELS, times, np.array([1.0, 0.0, n / 8, 30.0 * n]))
    return Client(engine)


def test_an_instant_query_is_written_as_prometheus_writes_it(client: Client) -> None:
    answer = client.get("/query", query='up{job="a"}', time=NOW)
    assert answer.headers["content-type"] == "application/json"
    assert answer.text == (
        '{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","instance":"1",'
        '"job":"a"},"value":[1700000000,"1"]}]}}'
    )


def test_time_defaults_to_now_and_takes_fractions_and_rfc3339(client: Client) -> None:
    assert client.get("/query", query="time()").json()["data"]["result"] == [NOW, str(NOW)]
    assert '[1700000000.500,"1700000000.5"]' in client.get("/query", query="time()", time="1700000000.5").text
    assert client.get("/query", query="time()", time="2023-11-14T22:13:20Z").json()["data"]["result"][0] == NOW
    assert client.get("/query", query="time()", time="2023-11-14T23:13:20+01:00").json()["data"]["result"][0] == NOW


def test_a_range_query(client: Client) -> None:
    answer = client.get("/query_range", query="sum by (job) (up)", start=NOW - 40, end=NOW, step="20s")
    assert answer.json()["data"] == {
        "resultType": "matrix",
        "result": [
            {"metric": {"job": "a"}, "values": [[NOW - 40, "1"], [NOW - 20, "1"], [NOW, "1"]]},
            {"metric": {"job": "b"}, "values": [[NOW - 40, "0.625"], [NOW - 20, "0.875"], [NOW, "1.125"]]},
        ],
    }


def test_a_form_in_the_body_wins_over_the_url(client: Client) -> None:
    form = {"query": "1 + 1", "time": str(NOW)}
    answer = client.request("POST", "/query?query=5&time=1", data=form)
    assert answer.json()["data"] == {"resultType": "scalar", "result": [NOW, "2"]}
    assert client.request("POST", "/query?query=5&time=7").json()["data"]["result"] == [7, "5"]


def test_strings_scalars_and_range_vectors(client: Client) -> None:
    assert client.get("/query", query='"a\\"b"', time=1).json()["data"] == {
        "resultType": "string",
        "result": [1, 'a"b'],
    }
    matrix = client.get("/query", query='up{job="a"}[20s]', time=NOW).json()["data"]
    assert matrix["resultType"] == "matrix"
    assert matrix["result"][0]["values"] == [[NOW - 10, "1"], [NOW, "1"]]


def test_warnings_infos_and_limits_are_told(client: Client) -> None:
    answer = client.get("/query", query="quantile(2, up)", time=NOW).json()
    assert answer["data"]["result"][0]["value"] == [NOW, "+Inf"]
    assert answer["warnings"] == ["PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)"]
    assert "might not be a counter" in client.get("/query", query="rate(up[1m])", time=NOW).json()["infos"][0]
    limited = client.get("/query", query="up", time=NOW, limit=2).json()
    assert len(limited["data"]["result"]) == 2
    assert limited["warnings"] == ["results truncated due to limit"]


@pytest.mark.parametrize(
    ("path", "params", "status", "kind", "message"),
    [
        ("/query", {"query": "up{"}, 400, "bad_data", 'invalid parameter "query": 1:4: parse error: unexpected end'),
        ("/query", {}, 400, "bad_data", "no expression found in input"),
        ("/query", {"query": "up", "time": "yesterday"}, 400, "bad_data", 'cannot parse "yesterday" to'),
        ("/query", {"query": "up", "time": "1e99"}, 400, "bad_data", 'invalid parameter "time": Invalid time value'),
        ("/query", {"query": "up", "timeout": "x"}, 400, "bad_data", 'invalid parameter "timeout": cannot parse'),
        ("/query", {"query": "up", "limit": "-1"}, 400, "bad_data", 'invalid parameter "limit": limit must be non-neg'),
        ("/query", {"query": "up + on () up"}, 422, "execution", "many-to-many matching not allowed"),
        ("/query_range", {"query": "up", "start": 1, "end": 2}, 400, "bad_data", 'invalid parameter "step"'),
        ("/query_range", {"query": "up", "start": 1, "end": 2, "step": 0}, 400, "bad_data", "zero or negative"),
        ("/query_range", {"query": "up", "start": 3, "end": 2, "step": 1}, 400, "bad_data", "must not be before start"),
        ("/query_range", {"query": "up", "start": 0, "end": 11_001, "step": 1}, 400, "bad_data", "11,000 points"),
        (
            "/query_range",
            {"query": "up[1m]", "start": 0, "end": 1, "step": 1},
            400,
            "bad_data",
            "invalid expression type",
        ),
        ("/series", {}, 400, "bad_data", "no match[] parameter provided"),
        ("/series", {"match[]": "sum(up)"}, 400, "bad_data", "expected a series selector"),
        ("/labels", {"start": "x"}, 400, "bad_data", "Invalid time value for 'start'"),
    ],
)
def test_errors(client: Client, path: str, params: dict[str, Any], status: int, kind: str, message: str) -> None:
    answer = (
        client.get(path, **params) if "time" in params or path != "/query" else client.get(path, time=NOW, **params)
    )
    body = answer.json()
    assert (answer.status_code, body["status"], body["errorType"]) == (status, "error", kind)
    assert message in body["error"]


def test_too_many_samples_and_too_little_time_are_refused(engine: EmbeddedEngine, client: Client) -> None:
    few = Client(engine, QuerySettings(max_samples=5)).get("/query", query="count_over_time(up[1m])", time=NOW)
    assert (few.status_code, few.json()["errorType"]) == (422, "execution")
    assert "too many samples" in few.json()["error"]
    late = client.get("/query", query="up", time=NOW, timeout="0.000001")
    assert (late.status_code, late.json()["errorType"]) == (503, "timeout")


def test_a_body_that_is_too_large_or_no_text_is_refused(client: Client) -> None:
    assert client.request("POST", "/query", content=b"query=" + b"a" * (5 << 20)).status_code == 400
    assert client.request("POST", "/query", content=b"query=\xff\xfe").status_code == 400


def test_label_names_and_values(client: Client) -> None:
    assert client.get("/labels").json()["data"] == ["__name__", "instance", "job", "utf.8"]
    assert client.get("/labels", **{"match[]": "c_total"}).json()["data"] == ["__name__", "job"]
    assert client.get("/label/job/values").json()["data"] == ["a", "b"]
    assert client.get("/label/__name__/values", start=NOW - 60, end=NOW).json()["data"] == ["c_total", "up"]
    assert client.get("/label/__name__/values", start=0, end=1).json()["data"] == []
    assert client.get("/label/job/values", limit=1).json()["data"] == ["a"]
    assert client.get("/label/U__utf_2e_8/values").json()["data"] == ["x"]
    both = [("match[]", 'up{job="a"}'), ("match[]", "c_total")]
    assert client.request("GET", "/label/__name__/values", params=both).json()["data"] == ["c_total", "up"]


def test_escaped_label_names() -> None:
    assert unescape_label("U__a_2e_b__c") == "a.b_c"
    assert unescape_label("plain_name") == "plain_name"


def test_series(client: Client) -> None:
    found = client.get("/series", **{"match[]": 'up{instance="1"}'}).json()["data"]
    assert found == [LABELS[0], LABELS[1]]
    form = client.request("POST", "/series", data={"match[]": ["c_total", 'up{job="a"}'], "limit": "1"})
    assert form.json()["data"] == [LABELS[3]]


def test_status(client: Client) -> None:
    assert client.get("/status/buildinfo").json()["data"]["application"] == "Windvane"
    config = yaml.safe_load(client.get("/status/config").json()["data"]["yaml"])
    assert config["global"]["scrape_interval"] == "5s"
    runtime = client.get("/status/runtimeinfo").json()["data"]
    assert (runtime["storageRetention"], runtime["startTime"]) == ("15d", "2023-11-14T22:13:20Z")
    for path in ("/status/flags", "/status/walreplay", "/notifications", "/features"):
        assert client.get(path).json()["status"] == "success"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.0, "-0"), (1.0, "1"), (1e6, "1000000"), (123456.789, "123456.789"), (0.1, "0.1"),
        (1e-6, "0.000001"), (1.5e-7, "1.5e-07"), (1e20, "100000000000000000000"), (1e21, "1e+21"),
        (-2.5e300, "-2.5e+300"), (5e-324, "5e-324"), (1 / 3, "0.3333333333333333"), (float("nan"), "NaN"),
        (float("inf"), "+Inf"), (float("-inf"), "-Inf"), (1e15, "1000000000000000"),
        (999999999999999.0, "999999999999999"), (1 - 1e15, "-999999999999999"), (100.0, "100"), (-99.0, "-99"),
        (0.5 + 1e14, "100000000000000.5"),
        (123456789012345680.0, "123456789012345680"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_go_writes_them(value: float, text: str) -> None:
    labels = Labels.empty(Pool(), 1)
    vector = json.loads(query_data(VectorResult(1500, labels, np.array([value]))))
    assert vector["result"][0]["value"][1] == text
    one = np.array([value])
    matrix = json.loads(query_data(MatrixResult(labels, np.array([0, 1]), np.array([1500]), one)))
    assert matrix["result"][0]["values"] == [[1.5, text]]
    assert query_data(ScalarResult(-1500, value)).endswith(b'[-1.500,"%s"]}' % text.encode())


def test_what_a_query_cost_is_told_when_asked(client: Client) -> None:
    assert "stats" not in client.get("/query", query="up", time=NOW).json()["data"]
    stats = client.get("/query", query="sum(rate(c_total[1m])) > 0", time=NOW, stats="all").json()["data"]["stats"]
    assert stats["samples"]["totalQueryableSamples"] == 6
    assert [(r["matchers"], r["after"], r["until"], r["series"]) for r in stats["reads"]] == [
        ('__name__="c_total"', NOW - 60, NOW, 1)
    ]
    assert [(n["node"], n["depth"]) for n in stats["nodes"]] == [(">", 0), ("sum", 1), ("rate()", 2)]


def test_large_answers_are_compressed_as_the_client_accepts(client: Client) -> None:
    params = {"query": "up", "start": NOW - 3000, "end": NOW, "step": 1}
    plain = client.request("GET", "/query_range", params=params, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    for accepted, encoding in (("gzip", "gzip"), ("gzip;q=0.5, zstd", "zstd"), ("zstd;q=0, gzip", "gzip")):
        answer = client.request("GET", "/query_range", params=params, headers={"Accept-Encoding": accepted})
        assert answer.headers["content-encoding"] == encoding
        assert answer.headers["vary"] == "Accept-Encoding"
        unpack = cramjam.gzip if encoding == "gzip" else cramjam.zstd
        body = answer.content if answer.content[:1] == b"{" else bytes(unpack.decompress(answer.content))
        assert body == plain.content
    assert "content-encoding" not in client.request("GET", "/labels", headers={"Accept-Encoding": "gzip"}).headers


def test_a_client_that_goes_away_cancels_its_query() -> None:
    begun, seen = threading.Event(), threading.Event()

    def slow(params: Params) -> bytes:
        begun.set()
        assert params.cancelled.wait(10)
        seen.set()
        raise QueryCancelledError("query was canceled in expression evaluation")

    async def receive() -> dict[str, Any]:
        while not begun.is_set():
            await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/api/v1/slow", "query_string": b"", "headers": []}
    asyncio.run(build_app([[api_route("slow", slow)]])(scope, receive, send))
    assert seen.is_set()
    assert sent[0]["status"] == 499
    assert json.loads(sent[1]["body"])["errorType"] == "canceled"


@pytest.mark.parametrize("answer", [None, Response(b"x", 202)], ids=["nothing", "a response"])
def test_a_handler_may_answer_nothing_or_a_response(answer: Response | None) -> None:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(build_app([[api_route("x", lambda _: answer)], fallback()]))
        async with httpx.AsyncClient(transport=transport, base_url="http://windvane") as client:
            return await client.get("/api/v1/x")

    assert asyncio.run(ask()).status_code == (204 if answer is None else 202)


NUMBERS = st.integers(-(10**19), 10**19).map(str) | st.floats().map(repr)
TEXTS = st.text(max_size=12) | NUMBERS | st.sampled_from(["1m", "0", "-1", "1e400", "up", "2023-11-14T22:13:20Z"])
NAMES = st.sampled_from(["query", "time", "start", "end", "step", "timeout", "lookback_delta", "limit", "match[]"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["/query", "/query_range", "/labels", "/label/job/values", "/series", "/format_query"]),
    st.dictionaries(NAMES, TEXTS, max_size=5),
)
def test_any_parameters_are_answered_or_refused(client: Client, path: str, params: dict[str, str]) -> None:
    answer = client.request("GET", path, params=params)
    assert answer.status_code in (200, 400, 422, 503)
    assert answer.json()["status"] == ("success" if answer.status_code == 200 else "error")


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("1.5", 1500), ("1e3", 10**6), ("0x10p0", 16_000), ("-1.0005", -1001), ("1_000", 10**6), ("-0", 0),
     ("2023-11-14T22:13:20.1239Z", 1_700_000_000_123), ("2023-11-14T22:13:20,5Z", 1_700_000_000_500),
     ("2023-11-14T20:13:20-02:00", 1_700_000_000_000), ("292277025-08-18T07:12:54.999999999Z", LATEST)],
)  # fmt: skip
def test_times(text: str, milliseconds: int) -> None:
    assert time_ms(text) == milliseconds


@pytest.mark.parametrize(
    ("text", "seconds"), [("1h30m", 5400.0), ("2y1w1d1ms", 63_763_200.001), ("1.5", 1.5), ("0", 0.0), ("-3", -3.0)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "1m1h", "1.5m", "nan", "1e99", "300000000000y", "-1m"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="cannot parse"):
        duration_seconds(text)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.dictionaries(
                st.sampled_from(["__name__", "b", 'q"', "风"]), st.sampled_from(["", "x", 'a"b\\\n', "风"])
            ),
            st.lists(st.floats() | st.integers(-(10**16), 10**16).map(float), min_size=1, max_size=3),
        ),
        max_size=5,
    ),
    st.integers(0, 6),
)
def test_series_are_the_json_of_their_labels_and_points(
    sets: list[tuple[dict[str, str], list[float]]], limit: int
) -> None:
    labels = Labels.of(Pool(), [one for one, _ in sets])
    offsets = np.concatenate([[0], np.cumsum([len(values) for _, values in sets])]).astype(np.int64)
    values = np.array([value for _, some in sets for value in some], np.float64)
    matrix = json.loads(query_data(MatrixResult(labels, offsets, np.arange(len(values)) * 500, values), limit))
    assert [one["metric"] for one in matrix["result"]] == labels.dicts()[: limit or None]
    texts = [text for one in matrix["result"] for _, text in one["values"]]
    assert texts == [numbers.json(value) for value in values.tolist()][: len(texts)]
    first = values[offsets[:-1]]
    vector = json.loads(query_data(VectorResult(1500, labels, first), limit))["result"]
    assert [(one["metric"], one["value"]) for one in vector] == [
        (metric, [1.5, numbers.json(value)]) for metric, value in zip(labels.dicts(), first.tolist(), strict=True)
    ][: limit or None]
