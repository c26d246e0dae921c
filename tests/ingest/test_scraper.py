"""The scraper whole: real HTTP targets, an injected clock, what the store holds afterwards."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import json
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest
from scrape_target import TEXT, Asked, HttpServer, Reply, serving, until

from windvane.ingest.accounting import METRICS, Accounting
from windvane.ingest.scrape.config import ConfigError, loads
from windvane.ingest.scrape.loop import TargetLoop
from windvane.ingest.scrape.manager import Scraper
from windvane.kit.clock import ManualClock
from windvane.kit.errors import UnavailableError
from windvane.kit.metrics import Metrics
from windvane.promql.engine import QueryEngine
from windvane.promql.value import VectorResult
from windvane.store.embedded import EmbeddedEngine
from windvane.store.series import STALE

INTERVAL = 15
_STALE_BITS = struct.unpack("<Q", struct.pack("<d", STALE))[0]


class World:
    """A scraper on a clock of its own."""

    def __init__(self, engine: EmbeddedEngine) -> None:
        self.engine = engine
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.accounting = Accounting(self.metrics)
        self.scraper = Scraper(engine, accounting=self.accounting, clock=self.clock, metrics=self.metrics)

    async def apply(self, text: str) -> None:
        await self.scraper.apply(loads(text))
        await until(lambda: not self.scraper._pending and all(r.complete for r in self.scraper._runs.values()), "sync")
        self.scraper.sync()

    def loops(self) -> list[TargetLoop]:
        return [loop for pool in self.scraper.pools.values() for loop in pool.loops.values()]

    async def turn(self) -> None:
        """Let an interval pass: every target is scraped once."""
        await until(self._all_wait, "every loop waits for its moment")
        before = {id(loop): loop.state.last_scrape_ns for loop in self.loops()}
        for _ in range(INTERVAL):
            self.clock.advance(1)
            for _ in range(3):
                await asyncio.sleep(0)
        await until(
            lambda: all(loop.state.last_scrape_ns != before.get(id(loop), 0) for loop in self.loops()), "a scrape each"
        )
        await self.scraper.flush()

    def _all_wait(self) -> bool:
        return all(loop._next_ns > self.clock.now_ns() for loop in self.loops())

    async def pass_time(self, seconds: int) -> None:
        """Let time pass without waiting for scrapes."""
        for _ in range(seconds):
            self.clock.advance(1)
            await asyncio.sleep(0.002)
        await self.scraper.flush()

    def state(self, url_part: str = "") -> tuple[str, str]:
        [loop] = [loop for loop in self.loops() if url_part in loop.target.url]
        return loop.state.health, loop.state.last_error

    def query(self, text: str) -> dict[str, float]:
        result = QueryEngine(self.engine).instant(text, self.clock.now_ns() // 1_000_000).value
        assert isinstance(result, VectorResult)
        named = (
            labels.get("__name__", "") + json.dumps({k: v for k, v in labels.items() if k not in _COMMON})
            for labels in result.labels.dicts()
        )
        return dict(zip(named, result.values.tolist(), strict=True))

    def stored(self, name: str) -> list[float | str]:
        """Values of a metric in order of time, staleness markers as STALE."""
        frame = self.engine.query(
            "SELECT reinterpretAsUInt64(Value) AS bits, Value AS value FROM samples WHERE Id IN "
            "(SELECT Id FROM series WHERE Name = {name:String}) ORDER BY Time",
            {"name": name},
        )
        return [
            "STALE" if bits == _STALE_BITS else value
            for bits, value in zip(frame["bits"].tolist(), frame["value"].tolist(), strict=True)
        ]


_COMMON = {"__name__", "job", "instance"}


@asynccontextmanager
async def world(engine: EmbeddedEngine) -> AsyncIterator[World]:
    made = World(engine)
    running = asyncio.create_task(made.scraper.run())
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await made.scraper.close()


@pytest.fixture
def target() -> Iterator[HttpServer]:
    with serving("a 1\n") as server:
        yield server


def job(server: HttpServer | str, more: str = "", name: str = "j") -> str:
    address = server if isinstance(server, str) else server.address
    return (
        f"- {{job_name: {name}, scrape_interval: {INTERVAL}s, static_configs: [{{targets: ['{address}']}}]"
        f"{', ' if more else ''}{more}}}\n"
    )


def config(*jobs: str) -> str:
    return "scrape_configs:\n" + "".join(jobs)


class TestSamples:
    def test_a_registry_is_scraped_and_queried(self, engine: EmbeddedEngine, target: HttpServer) -> None:
        registry = CollectorRegistry()
        done = Counter("jobs", "Jobs.", ["kind"], registry=registry)
        Histogram("latency_seconds", "L.", registry=registry).observe(0.3)
        done.labels("a").inc(3)

        async def scenario() -> None:
            async with world(engine) as here:
                target.answer = lambda _: Reply(generate_latest(registry))
                await here.apply(config(job(target)))
                await here.turn()
                done.labels("a").inc(30)
                await here.turn()
                assert here.query("jobs_total") == {'jobs_total{"kind": "a"}': 33.0}
                assert here.query("up") == {"up{}": 1.0}
                assert here.query('latency_seconds_bucket{le="0.5"}') == {'latency_seconds_bucket{"le": "0.5"}': 1.0}
                assert here.query("scrape_samples_scraped") == {"scrape_samples_scraped{}": 20.0}
                assert here.query("scrape_series_added") == {"scrape_series_added{}": 0.0}
                families = engine.query("SELECT Family, Type, Help FROM metric_metadata ORDER BY Family")
                assert ["jobs_total", "counter", "Jobs."] in families.to_numpy().tolist()
                summary = here.accounting.summary()[METRICS]
                assert summary["received"] == summary["stored"] == 50
                assert summary["refused"] == 0

        asyncio.run(scenario())

    def test_times_are_even(self, engine: EmbeddedEngine, target: HttpServer) -> None:
        async def scenario() -> None:
            async with world(engine) as here:
                await here.apply(config(job(target)))
                for _ in range(4):
                    await here.turn()
                times = engine.query("SELECT DISTINCT toUnixTimestamp64Milli(Time) AS at FROM samples ORDER BY at")
                gaps = {after - before for before, after in zip(times["at"], times["at"][1:], strict=False)}
                assert gaps == {INTERVAL * 1000}

        asyncio.run(scenario())

    def test_extra_reports_and_limits(self, engine: EmbeddedEngine, target: HttpServer) -> None:
        async def scenario() -> None:
            async with world(engine) as here:
                more = "extra_scrape_metrics: true, sample_limit: 5, body_size_limit: 1KB, scrape_timeout: 7s"
                await here.apply(config(job(target, more)))
                await here.turn()
                assert here.query("scrape_body_size_bytes") == {"scrape_body_size_bytes{}": 4.0}
                assert here.query("scrape_timeout_seconds") == {"scrape_timeout_seconds{}": 7.0}
                assert here.query("scrape_sample_limit") == {"scrape_sample_limit{}": 5.0}
                target.expose("a 1\n" * 1000)
                await here.turn()
                assert here.state() == ("down", "body size limit exceeded")
                assert here.query("scrape_body_size_bytes") == {"scrape_body_size_bytes{}": -1.0}

        asyncio.run(scenario())

    def test_native_histograms_and_exemplars(self, engine: EmbeddedEngine, target: HttpServer) -> None:
        body = (
            "# TYPE h histogram\n" 'h_bucket{le="1.0"} 2 # {trace_id="t"} 0.5\nh_bucket{le="+Inf"} 5\n'
            "h_sum 9\nh_count 5\n# EOF\n"
        )  # fmt: skip
        target.expose(body, "application/openmetrics-text; version=1.0.0")

        async def scenario() -> None:
            async with world(engine) as here:
                more = "convert_classic_histograms_to_nhcb: true, always_scrape_classic_histograms: true"
                await here.apply(config(job(target, more)))
                await here.turn()
                frame = engine.query("SELECT Schema, Count, Sum, toString(CustomBounds) AS b FROM native_histograms")
                assert frame.to_numpy().tolist() == [[-53, 5.0, 9.0, "[1]"]]
                exemplars = engine.query("SELECT Value, Labels['trace_id'] AS t FROM exemplars")
                assert exemplars.to_numpy().tolist()[0] == [0.5, "t"]

        asyncio.run(scenario())


class TestStaleness:
    def test_vanished_series_failed_scrapes_and_recovery(self, engine: EmbeddedEngine, target: HttpServer) -> None:
        async def scenario() -> None:
            async with world(engine) as here:
                target.expose("a 1\nb 2\n")
                await here.apply(config(job(target)))
                await here.turn()
                target.expose("a 1\n")
                await here.turn()
                target.answer = lambda _: Reply(status=500)
                await here.turn()
                assert here.state() == ("down", "server returned HTTP status 500 Internal Server Error")
                assert here.query("a") == {}
                assert here.query("up") == {"up{}": 0.0}
                target.expose("a 3\n")
                await here.turn()
                assert here.stored("a") == [1.0, 1.0, "STALE", 3.0]
                assert here.stored("b") == [2.0, "STALE"]
                assert here.stored("up") == [1.0, 1.0, 0.0, 1.0]

        asyncio.run(scenario())

    def test_a_target_that_is_gone_ends_and_shutdown_does_not(self, engine: EmbeddedEngine) -> None:
        async def scenario() -> None:
            with serving("a 1\n") as one, serving("b 1\n") as two:
                async with world(engine) as here:
                    await here.apply(config(job(one, name="one"), job(two, name="two")))
                    await here.turn()
                    await here.apply(config(job(two, name="two")))
                    await here.pass_time(3 * INTERVAL)
                    assert here.stored("a") == [1.0, "STALE"]
                    assert here.query("up") == {"up{}": 1.0}
            assert "STALE" not in here.stored("b")

        asyncio.run(scenario())

    def test_a_series_that_goes_on_elsewhere_does_not_end(self, engine: EmbeddedEngine) -> None:
        async def scenario() -> None:
            with serving("a 1\n") as one, serving("a 1\n") as two:
                same = "relabel_configs: [{target_label: instance, replacement: i}]"
                async with world(engine) as here:
                    await here.apply(config(job(one, same)))
                    await here.turn()
                    await here.apply(config(job(two, same)))
                    await here.pass_time(3 * INTERVAL)
                    assert "STALE" not in here.stored("a")
                    assert "STALE" not in here.stored("up")

        asyncio.run(scenario())


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


class TestErrors:
    @pytest.mark.parametrize(
        ("reply", "message"),
        [
            (Reply(status=404), "server returned HTTP status 404 Not Found"),
            (Reply(b"a 1", headers={}), "non-compliant scrape target sending blank Content-Type"),
            (Reply(b"<html>", headers={"Content-Type": "text/html"}), 'unsupported Content-Type "text/html"'),
            (Reply(b"a x\n"), 'line 1: "x" is not a value in "a x"'),
            (Reply(b"nonsense", headers={"Content-Type": TEXT, "Content-Encoding": "gzip"}), "gzip"),
            (Reply(status=302, headers={"Location": "/loop"}), "stopped after 10 redirects"),
        ],
    )
    def test_bad_answers(self, engine: EmbeddedEngine, target: HttpServer, reply: Reply, message: str) -> None:
        target.answer = lambda _: reply

        async def scenario() -> None:
            async with world(engine) as here:
                await here.apply(config(job(target)))
                await here.turn()
                health, error = here.state()
                assert health == "down"
                assert message in error or (message == "gzip" and "incorrect header" in error), error

        asyncio.run(scenario())

    def test_nobody_listens_and_nobody_answers(self, engine: EmbeddedEngine, free_port: Callable[[], int]) -> None:
        port = free_port()

        async def scenario() -> None:
            silent = await asyncio.start_server(_say_nothing, "127.0.0.1", 0)
            address = f"127.0.0.1:{silent.sockets[0].getsockname()[1]}"
            async with world(engine) as here:
                more = "scrape_timeout: 100ms"
                await here.apply(config(job(f"127.0.0.1:{port}"), job(address, more, "slow")))
                await here.turn()
                refused = (
                    f'Get "http://127.0.0.1:{port}/metrics": dial tcp 127.0.0.1:{port}: connect: connection refused'
                )
                assert here.state(str(port)) == ("down", refused)
                late = f'Get "http://{address}/metrics": context deadline exceeded'
                assert here.state(address) == ("down", late)
            silent.close()

        asyncio.run(scenario())

    def test_too_many_targets(self, engine: EmbeddedEngine, target: HttpServer) -> None:
        async def scenario() -> None:
            async with world(engine) as here:
                await here.apply(
                    "scrape_configs: [{job_name: j, scrape_interval: 15s, target_limit: 1, "
                    f"static_configs: [{{targets: ['{target.address}', '127.0.0.1:1']}}]}}]"
                )
                await here.turn()
                wanted = ("down", "target_limit exceeded (number of targets: 2, limit: 1)")
                assert here.state(target.address) == wanted

        asyncio.run(scenario())

    def test_a_store_that_is_down_gets_the_samples_later(
        self, engine: EmbeddedEngine, target: HttpServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def down(*_: object, **__: object) -> int:
            raise UnavailableError("the store is away")

        async def scenario() -> None:
            async with world(engine) as here:
                await here.apply(config(job(target)))
                with monkeypatch.context() as patch:
                    patch.setattr(engine, "insert_frame", down)
                    patch.setattr(engine, "insert_payload", down)
                    await here.turn()
                    assert here.stored("a") == []
                await here.turn()
                assert here.stored("a") == [1.0, 1.0]
                assert here.accounting.summary()[METRICS]["refused"] == 0

        asyncio.run(scenario())


class TestRequests:
    def test_headers_credentials_and_parameters(
        self, engine: EmbeddedEngine, target: HttpServer, tmp_path: Path
    ) -> None:
        secret = tmp_path / "pw"
        secret.write_text("first\n")

        def answer(_: Asked) -> Reply:
            return Reply(gzip.compress(b"a 1\n"), headers={"Content-Type": TEXT, "Content-Encoding": "gzip"})

        async def scenario() -> None:
            target.answer = answer
            async with world(engine) as here:
                more = (
                    f"basic_auth: {{username: u, password_file: '{secret}'}}, params: {{x: [y]}}, metrics_path: /m, "
                    "http_headers: {X-Own: {values: [v]}}, scrape_timeout: 2500ms"
                )
                await here.apply(config(job(target, more)))
                await here.turn()
                assert here.query("a") == {"a{}": 1.0}
                asked = target.asked[-1]
                assert asked.path == "/m?x=y"
                assert asked.headers["Authorization"] == "Basic dTpmaXJzdA=="
                assert asked.headers["X-Prometheus-Scrape-Timeout-Seconds"] == "2.5"
                assert asked.headers["Accept"].startswith("application/openmetrics-text;version=1.0.0")
                assert asked.headers["Accept-Encoding"] == "gzip"
                assert asked.headers["X-Own"] == "v"
                secret.write_text("second!\n")
                await here.turn()
                assert target.asked[-1].headers["Authorization"] == "Basic dTpzZWNvbmQh"

        asyncio.run(scenario())

    def test_oauth2(self, engine: EmbeddedEngine, target: HttpServer) -> None:
        def answer(asked: Asked) -> Reply:
            if asked.path == "/token":
                assert b"grant_type=client_credentials" in asked.body
                assert b"scope=a+b" in asked.body
                return Reply(b'{"access_token": "T", "expires_in": 3600}', headers={"Content-Type": "application/json"})
            return Reply(b"a 1\n") if asked.headers.get("Authorization") == "Bearer T" else Reply(status=401)

        async def scenario() -> None:
            target.answer = answer
            async with world(engine) as here:
                more = f"oauth2: {{client_id: me, client_secret: s, token_url: '{target.url}/token', scopes: [a, b]}}"
                await here.apply(config(job(target, more)))
                await here.turn()
                await here.turn()
                assert here.state() == ("up", "")
                assert [asked.path for asked in target.asked].count("/token") == 1

        asyncio.run(scenario())

    def test_tls(self, engine: EmbeddedEngine, tmp_path: Path) -> None:
        certificate, key = _certificate(tmp_path)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)

        async def scenario() -> None:
            with serving("a 1\n", context) as target:
                async with world(engine) as here:
                    common = "scheme: https, tls_config: "
                    trusted = common + f"{{ca_file: '{certificate}', server_name: windvane.test}}"
                    careless = common + "{insecure_skip_verify: true}"
                    wrong = common + f"{{ca_file: '{certificate}'}}"
                    await here.apply(
                        config(
                            job(target, trusted, "trusted"),
                            job(target, careless, "careless"),
                            job(target, wrong, "wrong"),
                            job(target, common + "{ca_file: /nowhere/ca.pem}", "absent"),
                        )
                    )
                    await here.turn()
                    states = {loop.target.pool: loop.state for loop in here.loops()}
                    assert states["trusted"].last_error == ""
                    assert states["careless"].last_error == ""
                    assert "tls: failed to verify certificate" in states["wrong"].last_error
                    assert "/nowhere/ca.pem" in states["absent"].last_error

        asyncio.run(scenario())


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "windvane.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("windvane.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


class TestReload:
    def test_the_same_job_goes_on_and_another_takes_over(self, engine: EmbeddedEngine, target: HttpServer) -> None:
        async def scenario() -> None:
            with serving("b 1\nc 2\n") as other:
                async with world(engine) as here:
                    await here.apply(config(job(target, name="same"), job(other, name="changing")))
                    await here.turn()
                    kept = here.scraper.pools["same"].loops.copy()
                    drop = "metric_relabel_configs: [{source_labels: [__name__], regex: c, action: drop}]"
                    await here.apply(config(job(target, name="same"), job(other, drop, "changing")))
                    assert here.scraper.pools["same"].loops == kept
                    await here.turn()
                    assert here.stored("b") == [1.0, 1.0]
                    assert here.stored("c") == [2.0, "STALE"]

        asyncio.run(scenario())

    def test_a_bad_file_keeps_what_was(self, engine: EmbeddedEngine, target: HttpServer, tmp_path: Path) -> None:
        file = tmp_path / "prometheus.yml"
        file.write_text(config(job(target)))

        async def scenario() -> None:
            async with world(engine) as here:
                await here.scraper.load(file)
                await until(here.loops, "the target")
                file.write_text("scrape_configs: [{job_name: j, bogus: 1}]")
                with pytest.raises(ConfigError, match="field bogus not found"):
                    await here.scraper.reload()
                assert "bogus" in here.scraper.reloaded.error
                assert b"windvane_config_last_reload_successful 0.0" in here.metrics.exposition()
                assert [loop.target.pool for loop in here.loops()] == ["j"]
                file.write_text(config(job(target, name="k")))
                await here.scraper.reload()
                assert here.scraper.reloaded.successful
                await until(lambda: [loop.target.pool for loop in here.loops()] == ["k"], "the new job")

        asyncio.run(scenario())

    def test_a_changed_file_is_noticed(self, engine: EmbeddedEngine, target: HttpServer, tmp_path: Path) -> None:
        file = tmp_path / "prometheus.yml"
        file.write_text(config(job(target)))

        async def scenario() -> None:
            async with world(engine) as here:
                await here.scraper.load(file)
                watching = asyncio.create_task(here.scraper.watch())
                edits = 0

                def edited() -> bool:
                    nonlocal edits
                    edits += 1
                    if edits % 50 == 1:  # the watch may not have begun at the first edit
                        file.write_text(config(job(target, name="edited")) + f"# {edits}\n")
                    return list(here.scraper.pools) == ["edited"]

                await until(edited, "the edit")
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

        asyncio.run(scenario())
