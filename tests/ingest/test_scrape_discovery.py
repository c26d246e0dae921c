"""Discovery by file, URL and DNS; which Alertmanagers there are; `check` of a configuration."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from scrape_target import Asked, HttpServer, Reply, serving, until

from windvane.ingest.scrape.alertmanagers import AlertmanagerDiscovery
from windvane.ingest.scrape.check import check
from windvane.ingest.scrape.config import loads
from windvane.ingest.scrape.discovery import DiscoveryRun, discoverers
from windvane.ingest.scrape.discovery.dns import DnsTargets
from windvane.ingest.scrape.discovery_config import DnsDiscovery
from windvane.kit.clock import Clock, ManualClock, SystemClock


@asynccontextmanager
async def running(job: str, clock: Clock) -> AsyncIterator[Callable[[], list[str]]]:
    """Discovery of one job; yields its addresses at present."""
    config = loads(f"scrape_configs: [{{job_name: j, {job}}}]").scrape_configs[0]
    run = DiscoveryRun(discoverers(config, clock), lambda: None, clock, "j")
    try:
        yield lambda: sorted(target["__address__"] for group in run.groups for target in group.targets)
    finally:
        await run.close()


class TestFiles:
    def test_files_are_read_and_read_again(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_text('[{"targets": ["a:1", "a:2"], "labels": {"x": "y"}}]')
        (tmp_path / "b.yml").write_text("- targets: [b:1]\n- targets: ['b:2']\n  labels: {n: 1}\n")

        async def scenario() -> None:
            job = f"file_sd_configs: [{{files: ['{tmp_path}/*.json', '{tmp_path}/b.yml']}}]"
            async with running(job, SystemClock()) as found:
                await until(lambda: found() == ["a:1", "a:2", "b:1", "b:2"], "the first reading")
                edits = 0

                def edited(text: str, wanted: list[str]) -> bool:
                    nonlocal edits
                    edits += 1
                    if edits % 50 == 1:  # the watch may not have begun at the first edit
                        (tmp_path / "b.yml").write_text(text + f"\n# {edits}")
                    return found() == wanted

                await until(lambda: edited("- targets: [b:9]", ["a:1", "a:2", "b:9"]), "the edit")
                edits = 0
                await until(lambda: edited("- targets: b:9]", ["a:1", "a:2", "b:9"]), "a bad file changes nothing")
                (tmp_path / "a.json").unlink()
                await until(lambda: found() == ["b:9"], "the file is gone")

        asyncio.run(scenario())

    @pytest.mark.parametrize(
        "text", ['{"targets": []}', '[{"targets": [1]}]', '[{"targets": ["a:1"], "bogus": 1}]', "[", '[{"labels": 1}]']
    )
    def test_check_names_bad_files(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "bad.json").write_text(text)
        (tmp_path / "p.yml").write_text("scrape_configs: [{job_name: j, file_sd_configs: [{files: [bad.json]}]}]")
        problems = check(tmp_path / "p.yml").problems
        assert [problem.file for problem in problems] == [str(tmp_path / "bad.json")]


class TestHttp:
    def test_groups_come_and_go(self) -> None:
        groups: list[dict[str, object]] = [{"targets": ["a:1"], "labels": {"x": "y"}}, {"targets": ["b:1"]}]

        def answer(_: Asked) -> Reply:
            return Reply(json.dumps(groups).encode(), headers={"Content-Type": "application/json; charset=utf-8"})

        async def scenario(server: HttpServer) -> None:
            clock = ManualClock()
            async with running(f"http_sd_configs: [{{url: '{server.url}/sd', refresh_interval: 30s}}]", clock) as found:
                await until(lambda: found() == ["a:1", "b:1"], "the first answer")
                assert server.asked[0].headers["X-Prometheus-Refresh-Interval-Seconds"] == "30"
                del groups[1]
                clock.advance(30)
                await until(lambda: found() == ["a:1"], "the second answer")
                server.answer = lambda _: Reply(status=500)
                count = len(server.asked)
                clock.advance(30)
                await until(lambda: len(server.asked) > count, "the third request")
                assert found() == ["a:1"]

        with serving(answer) as server:
            asyncio.run(scenario(server))


class _Names(asyncio.DatagramProtocol):
    """A name server that knows an SRV record and an address."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        question = data[12:]
        (kind,) = struct.unpack_from(">H", question, len(question) - 4)
        host = b"\x02h1\x04test\x00"
        body = struct.pack(">HHH", 1, 2, 9090) + host if kind == 33 else bytes([10, 0, 0, 7])
        record = b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(body)) + body
        header = data[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0)
        self._transport.sendto(header + question + record, addr)


class TestDns:
    def test_records(self) -> None:
        async def scenario() -> None:
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                _Names, local_addr=("127.0.0.1", 0)
            )
            server = transport.get_extra_info("sockname")[:2]
            assert await _dns(DnsDiscovery(names=("s.test",)), server) == [
                {
                    "__address__": "h1.test:9090",
                    "__meta_dns_name": "s.test",
                    "__meta_dns_srv_record_target": "h1.test.",
                    "__meta_dns_srv_record_port": "9090",
                }
            ]
            [address] = await _dns(DnsDiscovery(names=("a.test",), type="A", port=80), server)
            assert address["__address__"] == "10.0.0.7:80"
            transport.close()

        asyncio.run(scenario())


async def _dns(config: DnsDiscovery, server: tuple[str, int]) -> Sequence[dict[str, str]]:
    group = await DnsTargets(config, ManualClock(), server)._group(config.names[0])
    return [dict(target) for target in group.targets]


class TestAlertmanagers:
    def test_urls_relabelling_and_credentials(self) -> None:
        async def scenario(server: HttpServer) -> None:
            config = loads(
                "alerting:\n"
                "  alert_relabel_configs: [{regex: secret, action: labeldrop},\n"
                "    {source_labels: [drop], regex: 'yes', action: drop}]\n"
                "  alertmanagers:\n"
                f"  - {{static_configs: [{{targets: ['{server.address}']}}], path_prefix: /am, bearer_token: t}}\n"
                "  - {scheme: https, static_configs: [{targets: ['x:9093', 'y:9093']}],\n"
                "     relabel_configs: [{source_labels: [__address__], regex: 'y:.*', action: drop}]}\n"
            )
            found = AlertmanagerDiscovery(config.alerting, SystemClock())
            url = f"{server.url}/am/api/v2/alerts"
            await until(lambda: found.urls() == [url, "https://x:9093/api/v2/alerts"], "discovery")
            assert found.relabel({"a": "1", "secret": "s"}) == {"a": "1"}
            assert found.relabel({"a": "1", "drop": "yes"}) is None
            async with found.client() as client:
                answer = await client.post(url, content=b"[]", headers={"Content-Type": "application/json"})
                assert answer.status_code == 200
                assert (server.asked[0].method, server.asked[0].body) == ("POST", b"[]")
                assert server.asked[0].headers["Authorization"] == "Bearer t"
                other = await client.post(f"{server.url}/from/the/command/line", content=b"[]")
                assert other.status_code == 200
                assert "Authorization" not in server.asked[1].headers
                with pytest.raises(httpx.ConnectError):
                    await client.post("http://127.0.0.1:1/", content=b"[]")
            await found.close()

        with serving("") as server:
            asyncio.run(scenario(server))
