"""Targets over the HTTP API, against one that is up, one that is down and one that was dropped."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from windvane.api.prometheus_targets import routes
from windvane.ingest.scrape.manager import Scraper
from windvane.store.embedded import EmbeddedEngine

BODY = b"# HELP a Help.\n# TYPE a gauge\na 1\n# TYPE b counter\nb 1\n"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_targets(engine: EmbeddedEngine, address: str, tmp_path: Path) -> None:
    file = tmp_path / "prometheus.yml"
    text = (
        "global: {scrape_interval: 5s, scrape_timeout: 4s}\nscrape_configs:\n"
        f"- job_name: good\n  static_configs: [{{targets: ['{address}', 'drop:1']}}]\n"
        "  relabel_configs: [{source_labels: [__address__], regex: 'drop.*', action: drop},\n"
        "    {target_label: team, replacement: t}]\n"
        "- job_name: bad\n  static_configs: [{targets: ['127.0.0.1:1']}]\n"
    )
    file.write_text(text)
    asyncio.run(_scenario(Scraper(engine), file, address))


async def _scenario(scraper: Scraper, file: Path, address: str) -> None:
    running = asyncio.create_task(scraper.run())
    application = Starlette(routes=routes(scraper))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://x") as client:

        async def get(path: str, **query: str) -> Any:
            return (await client.get(f"/api/v1/{path}", params=query)).json()

        await scraper.load(file)
        deadline = asyncio.get_running_loop().time() + 20
        while {one["health"] for one in (await get("targets"))["data"]["activeTargets"]} != {"up", "down"}:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)
        await _targets(get, address)
        await _metadata(get, address)
        await _steps(get)
        assert (await get("scrape_pools"))["data"] == {"scrapePools": ["bad", "good"]}
        file.write_text("scrape_configs: [{job_name: only}]\n")
        assert (await client.post("/-/reload")).status_code == 200
        assert list(scraper.pools) == ["only"]
        file.write_text("scrape_configs: [{}]\n")
        answer = await client.post("/-/reload")
        assert (answer.status_code, answer.text.startswith("failed to reload config: ")) == (500, True)
        assert list(scraper.pools) == ["only"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await scraper.close()


async def _targets(get: Any, address: str) -> None:
    data = (await get("targets"))["data"]
    bad, good = data["activeTargets"]
    assert good["labels"] == {"instance": address, "job": "good", "team": "t"}
    assert (good["scrapePool"], good["scrapeUrl"], good["health"]) == ("good", f"http://{address}/metrics", "up")
    assert (good["scrapeInterval"], good["scrapeTimeout"], good["lastError"]) == ("5s", "4s", "")
    assert good["lastScrape"].endswith("Z")
    assert good["globalUrl"].endswith(f":{address.rpartition(':')[2]}/metrics")
    assert bad["lastError"].endswith("connect: connection refused")
    [dropped] = data["droppedTargets"]
    assert (dropped["scrapePool"], dropped["discoveredLabels"]["__address__"]) == ("good", "drop:1")
    assert data["droppedTargetCounts"] == {"bad": 0, "good": 1}
    only = (await get("targets", state="active", scrapePool="bad"))["data"]
    assert (len(only["activeTargets"]), only["droppedTargets"]) == (1, [])
    assert (await get("targets", state="dropped"))["data"]["activeTargets"] == []


async def _metadata(get: Any, address: str) -> None:
    target = {"instance": address, "job": "good", "team": "t"}
    assert (await get("targets/metadata", match_target='{job=~"go.*"}', metric="a"))["data"] == [
        {"target": target, "type": "gauge", "help": "Help.", "unit": ""}
    ]
    assert [one["metric"] for one in (await get("targets/metadata"))["data"]] == ["a", "b"]
    assert len((await get("targets/metadata", limit="1"))["data"]) == 1
    missing = await get("targets/metadata", metric="none")
    assert (missing["errorType"], missing["error"]) == ("not_found", "specified metadata not found")
    assert (await get("targets/metadata", match_target="{"))["errorType"] == "bad_data"


async def _steps(get: Any) -> None:
    labels = json.dumps({"__address__": "a:1"})
    steps = (await get("targets/relabel_steps", scrapePool="good", labels=labels))["data"]["steps"]
    assert [step["keep"] for step in steps] == [True, True]
    assert steps[1]["output"] == {"__address__": "a:1", "team": "t"}
    assert steps[0]["rule"]["action"] == "drop"
    assert "not found" in (await get("targets/relabel_steps", scrapePool="x", labels=labels))["error"]
    assert "parsing labels" in (await get("targets/relabel_steps", scrapePool="good", labels="["))["error"]
