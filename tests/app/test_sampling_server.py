"""A running server: strategies over HTTP and gRPC, files read again, policies tried from the command line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import httpx
from click.testing import CliRunner
from jaeger_messages import V2
from telemetry_rows import store_spans
from test_serve import TRACE, start, stop

from windvane.app.sampling import Sampling, SamplingSettings
from windvane.cli.sampling import command
from windvane.kit.clock import ManualClock
from windvane.kit.metrics import Metrics
from windvane.store.api import Engine
from windvane.tracing.model import Span
from windvane.tracing.sampling.adaptive import AdaptiveSettings

METHOD = "/jaeger.api_v2.SamplingManager/GetSamplingStrategy"
POLICIES = "policies:\n  - {name: all, type: always_sample}\n"
NONE = "policies:\n  - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}\n"


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def invoke(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(command, [str(one) for one in arguments])
    return result.exit_code, result.output


def test_strategies_and_policies_of_a_server(tmp_path: Path, free_port: Callable[[], int]) -> None:
    file, tail = tmp_path / "strategies.json", tmp_path / "tail.yaml"
    file.write_text('{"service_strategies": [{"service": "a", "type": "probabilistic", "param": 0.25}]}')
    tail.write_text(POLICIES)
    clients, services, collector = (f"127.0.0.1:{free_port()}" for _ in range(3))
    server, url = start(
        tmp_path / "data", "--sampling-http", clients, "--sampling-grpc", services, "--grpc", collector,
        "--sampling", str(file), "--sampling-adaptive", "initial=0.5", "--tail-sampling", str(tail),
    )  # fmt: skip

    def told(path: str) -> httpx.Response:
        return httpx.get(f"http://{clients}{path}", timeout=30, trust_env=False)

    def state() -> dict[str, dict[str, object]]:
        found: dict[str, dict[str, object]] = httpx.get(
            f"{url}/api/windvane/v1/sampling", timeout=30, trust_env=False
        ).json()
        return found

    own = '{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":0.25}}'
    assert told("/sampling?service=a").text == own
    assert told("/?service=a").text == own.replace('"PROBABILISTIC"', "0")
    assert told("/sampling?service=b").json()["operationSampling"]["defaultSamplingProbability"] == 0.5
    for wrong in ("/sampling", "/sampling?service=a&service=b"):
        refused = told(wrong)
        assert (refused.status_code, refused.text) == (400, "'service' parameter must be provided once\n")
    for address in (services, collector):
        with grpc.insecure_channel(address) as channel:
            request = V2.SamplingStrategyParameters(serviceName="a").SerializeToString()
            answer = V2.SamplingStrategyResponse.FromString(channel.unary_unary(METHOD)(request, timeout=30))
        assert answer.probabilisticSampling.samplingRate == 0.25

    file.write_text('{"service_strategies": [{"service": "a", "type": "probabilistic", "param": 2}]}')
    tail.write_text("policies: []\n")
    until(lambda: state()["strategies"]["error"] and state()["tail"]["file"]["error"])  # type: ignore[index]
    assert "service_strategies[0].param" in str(state()["strategies"]["error"])
    assert told("/sampling?service=a").text == own
    file.write_text('{"service_strategies": [{"service": "a", "type": "ratelimiting", "param": 3}]}')
    tail.write_text(NONE)
    until(lambda: "RATE_LIMITING" in told("/sampling?service=a").text and state()["tail"]["policies"] == ["errors"])
    assert state()["strategies"]["error"] == ""

    assert httpx.post(url + "/v1/traces", json=TRACE, timeout=60, trust_env=False).status_code == 200
    begun = int(TRACE["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["startTimeUnixNano"]) / 1e9  # type: ignore[index]
    code, output = invoke("check", tail)
    assert (code, output) == (0, f"{tail}: valid, 1 policies: errors\n")
    tail.write_text("policies:\n  - {name: a, type: latency}\n")
    code, output = invoke("check", tail)
    assert code == 1
    assert f"{tail}:2:5: policies[0].latency: needs threshold_ms" in output
    tail.write_text(POLICIES)
    code, output = invoke("try", tail, "--last", "1h", "--server", url, "--output", "json")
    assert code == 0, output
    recent = time.time() - begun < 3_600
    assert json.loads(output)["traces_kept"] == json.loads(output)["traces"] == int(recent)
    code, output = invoke("status", "--server", url)
    assert code == 0
    assert f"tail: {tail}" in output
    assert stop(server) == 0


def test_check_tells_lines(tmp_path: Path) -> None:
    tail = tmp_path / "tail.yaml"
    tail.write_text("policies:\n  - {name: a, type: nothing}\n")
    code, output = invoke("check", tail, "--output", "json")
    assert (code, json.loads(output)[0]["line"]) == (1, 2)


def test_spans_stay_until_everybody_has_counted_them(engine: Engine, tmp_path: Path) -> None:
    tail, minute = tmp_path / "tail.yaml", 1_790_000_040
    tail.write_text("remove_every: 1m\n" + NONE)
    clock = ManualClock((minute + 1) * 10**9)
    given = SamplingSettings(adaptive=AdaptiveSettings(), tail=tail)
    counted = ["SpanName != 'new'"]
    sampling = Sampling(given, engine, clock=clock, metrics=Metrics(), counted=[lambda: counted[0]])
    assert sampling.tail is not None
    assert sampling.adaptive is not None
    sampling.tail.tick()
    names = ("old", "new")
    store_spans(engine, [Span(f"{i:032x}", "1" * 16, "", names[i], "Server", "a", minute * 10**9, 1) for i in (0, 1)])

    def left() -> set[str]:
        clock.advance(60)
        assert sampling.tail is not None
        sampling.tail.tick()
        return set(engine.query("SELECT SpanName FROM otel_traces")["SpanName"])

    assert left() | left() == {"old", "new"}, "adaptive sampling has not counted yet"
    clock.advance(120)
    sampling.adaptive.tick()
    assert left() == {"new"}
    counted[0] = "1"
    assert left() == set()
    found = sampling.state().tail
    assert found is not None
    assert (found.last_day.traces, found.last_day.traces_kept) == (2, 0)
