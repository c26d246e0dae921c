"""The same targets and the same prometheus.yml for a real Prometheus and for us: the same series and values.

Left out: `scrape_duration_seconds`, which is a time, and `scrape_series_added` of failing targets, where
Prometheus counts what it read before the error.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from scrape_target import TEXT, Asked, HttpServer, Reply, serving, until

from windvane.ingest.scrape.manager import Scraper
from windvane.store.embedded import EmbeddedEngine
from windvane.store.series import STALE_BITS

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="the program prometheus is not installed")

OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
FAILING = {"limited", "short", "broken"}
Vector = dict[tuple[tuple[str, str], ...], str]

JOBS = """
global: {scrape_interval: 1s, scrape_timeout: 900ms, external_labels: {ignored: here}}
scrape_configs:
- job_name: plain
  metrics_path: /plain
  static_configs: [{targets: [TARGET], labels: {env: test, job: renamed, empty: ""}}]
- job_name: honoured
  metrics_path: /plain
  honor_labels: true
  static_configs: [{targets: [TARGET]}]
- job_name: relabelled
  metrics_path: /plain
  params: {a: ["1", "2"], b: [x]}
  static_configs: [{targets: [TARGET, "127.0.0.1:2"], labels: {__tmp_x: hidden, team: Blue}}]
  relabel_configs:
  - {source_labels: [__address__], regex: ".*:2", action: drop}
  - {source_labels: [__address__, __tmp_x], separator: "@", target_label: joined}
  - {source_labels: [team], target_label: upper, action: uppercase}
  - {source_labels: [team], target_label: lower, action: lowercase}
  - {source_labels: [__address__], modulus: 97, target_label: __tmp_mod, action: hashmod}
  - {source_labels: [job], modulus: 1000000007, target_label: shard, action: hashmod}
  - {regex: "__param_(.+)", replacement: "p_$1", action: labelmap}
  - {source_labels: [team], regex: "B(.*)", target_label: "made_${1}", replacement: "$$${1}-$0"}
  - {target_label: instance, replacement: fixed}
  metric_relabel_configs:
  - {source_labels: [__name__], regex: "drop_.*", action: drop}
  - {source_labels: [x], regex: "(.*)-(.*)", target_label: x, replacement: "${2}/${1}"}
  - {regex: "exported_.*", action: labeldrop}
- job_name: kept
  metrics_path: /plain
  static_configs: [{targets: [TARGET]}]
  metric_relabel_configs:
  - {source_labels: [__name__], regex: "a_total|up", action: keep}
  - {regex: "__name__|x|job|instance", action: labelkeep}
- {job_name: limited, metrics_path: /plain, sample_limit: 3, static_configs: [{targets: [TARGET]}]}
- {job_name: short, metrics_path: /plain, label_value_length_limit: 12, static_configs: [{targets: [TARGET]}]}
- {job_name: small, metrics_path: /plain, body_size_limit: 20B, static_configs: [{targets: [TARGET]}]}
- {job_name: broken, metrics_path: /broken, static_configs: [{targets: [TARGET]}]}
- {job_name: gone, metrics_path: /gone, static_configs: [{targets: [TARGET]}]}
- {job_name: open, metrics_path: /open, static_configs: [{targets: [TARGET]}]}
- {job_name: timed, metrics_path: /timed, static_configs: [{targets: [TARGET]}]}
- {job_name: untimed, metrics_path: /timed, honor_timestamps: false, static_configs: [{targets: [TARGET]}]}
- {job_name: vanishing, metrics_path: /vanishing, static_configs: [{targets: [TARGET]}]}
- {job_name: nobody, static_configs: [{targets: ["127.0.0.1:1"]}]}
"""

PLAIN = (
    "# HELP a_total A.\n# TYPE a_total counter\n"
    'a_total{x="1-2",job="own",instance="i",exported_job="e"} 1\na_total{x="l\\\\o\\"n\\ng",env="theirs"} 2.5e3\n'
    'a_total{x="1-2",job="own",instance="i",exported_job="e"} 9\ndrop_me 4\nnan NaN\ninf -Inf\n'
    'c{ y = "z" , }\t7 \n# TYPE h histogram\nh_bucket{le="0.5"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n'
)


class Pages:
    """What the target answers, by path."""

    def __init__(self) -> None:
        now = int(time.time() * 1000)
        timed = f"old 1 {now - 60_000}\nnew 2 {now}\nfuture 3 {now + 3_600_000}\nnone 4\n"
        opened = (
            "# TYPE o counter\n# UNIT o_seconds seconds\n"
            'o_total{a="b"} 5 # {trace_id="t"} 1 1.5\no_created 1.5e9\nx_y{} 0.125\n# EOF\n'
        )
        self.pages = {
            "/plain": Reply(PLAIN.encode()),
            "/broken": Reply(b"fine 1\nfine2 2\nbroken x\nlater 3\n"),
            "/gone": Reply(b"", 503),
            "/open": Reply(opened.encode(), headers={"Content-Type": OPEN}),
            "/timed": Reply(timed.encode()),
            "/vanishing": Reply(b'stays{n="1"} 1\nleaves{n="2"} 2\n'),
        }

    def __call__(self, asked: Asked) -> Reply:
        return self.pages.get(asked.path.partition("?")[0], Reply(status=404))


@contextmanager
def prometheus(folder: Path, port: int, config: Path) -> Iterator[str]:
    """A Prometheus that scrapes; its address."""
    address = f"127.0.0.1:{port}"
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
               f"--web.listen-address={address}", "--log.level=error"]  # fmt: skip
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield address
        finally:
            process.terminate()
            process.wait(20)


def scrapes(server: HttpServer, path: str) -> int:
    return sum(asked.path.partition("?")[0] == path for asked in server.asked)


async def theirs(address: str) -> Vector:
    """Everything that a Prometheus sees at present."""
    async with httpx.AsyncClient(timeout=60) as client:
        answer = await client.get(f"http://{address}/api/v1/query", params={"query": '{__name__=~".+"}'})
    return {
        tuple(sorted(one["metric"].items())): str(float(one["value"][1])) for one in answer.json()["data"]["result"]
    }


NEWEST = """
SELECT named.Labels AS Labels, named.Name AS Name, newest.value AS value FROM
(SELECT Id, any(Name) AS Name, any(Labels) AS Labels FROM series GROUP BY Id) AS named JOIN
(SELECT Id, argMax(Value, Time) AS value FROM samples WHERE Time > now64(3) - 300 AND Time <= now64(3) GROUP BY Id)
AS newest ON named.Id = newest.Id WHERE reinterpretAsUInt64(newest.value) != {stale:UInt64}
"""


def ours(engine: EmbeddedEngine) -> Vector:
    """The newest sample of every series that has not ended, as an instant query sees it."""
    rows = engine.query(NEWEST, {"stale": STALE_BITS})
    return {
        tuple(sorted({**labels, "__name__": name}.items())): str(value)
        for labels, name, value in zip(map(dict, rows["Labels"]), rows["Name"], rows["value"].tolist(), strict=True)
    }


async def compare(
    engine: EmbeddedEngine, scraper: Scraper, address: str, wanted_of: Callable[[Vector], Vector]
) -> None:
    """Both have the same, now or soon: they do not scrape at the same moment."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 20
    while True:
        await scraper.flush()
        wanted, got = await theirs(address), await asyncio.to_thread(ours, engine)
        wanted, got = wanted_of(wanted), wanted_of(got)
        if wanted == got and wanted:
            return
        if loop.time() > deadline:
            missing = {key: (value, got.get(key)) for key, value in wanted.items() if got.get(key) != value}
            extra = {key: value for key, value in got.items() if key not in wanted}
            raise AssertionError(f"Prometheus has, we have: {missing}\nonly we have: {extra}")
        await asyncio.sleep(0.2)


@contextmanager
def scraped(tmp_path: Path, port: int, text: str, server: HttpServer) -> Iterator[tuple[str, Path]]:
    file = tmp_path / "prometheus.yml"
    file.write_text(text.replace("TARGET", f'"{server.address}"'))
    with prometheus(tmp_path, port, file) as address:
        yield address, file


async def up_and_running(address: str) -> None:
    async def asked() -> bool:
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"http://{address}/-/ready")).status_code == 200
        except httpx.TransportError:
            return False

    deadline = asyncio.get_running_loop().time() + 60
    while not await asked():
        assert asyncio.get_running_loop().time() < deadline, "prometheus did not become ready"
        await asyncio.sleep(0.1)


def comparable(vector: Vector) -> Vector:
    """What must be the same."""
    out = {}
    for labels, value in vector.items():
        named = dict(labels)
        if named["__name__"] == "scrape_duration_seconds":
            continue
        if named["__name__"] == "scrape_series_added" and named["job"] in FAILING:
            continue
        out[labels] = value
    return out


def test_a_whole_configuration(engine: EmbeddedEngine, tmp_path: Path, free_port: Callable[[], int]) -> None:
    pages = Pages()

    async def scenario(server: HttpServer, address: str, file: Path) -> None:
        await up_and_running(address)
        scraper = Scraper(engine)
        running = asyncio.create_task(scraper.run())
        await scraper.load(file)
        try:
            await until(lambda: scrapes(server, "/vanishing") >= 6, "some scrapes")
            pages.pages["/vanishing"] = Reply(b'stays{n="1"} 7\n')
            seen = scrapes(server, "/vanishing")
            await until(lambda: scrapes(server, "/vanishing") >= seen + 4, "more scrapes")
            await compare(engine, scraper, address, comparable)
            await compare_targets(scraper, address)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await scraper.close()

    with serving(pages) as server, scraped(tmp_path, free_port(), JOBS, server) as (address, file):
        asyncio.run(scenario(server, address, file))


async def compare_targets(scraper: Scraper, address: str) -> None:
    """Labels, URLs, health and dropped targets as the API tells them."""
    async with httpx.AsyncClient() as client:
        data = (await client.get(f"http://{address}/api/v1/targets")).json()["data"]
    active = {
        (one["scrapePool"], one["scrapeUrl"]): (one["labels"], one["discoveredLabels"], one["health"])
        for one in data["activeTargets"]
    }
    mine = {
        (pool, loop.target.url): (loop.target.labels, loop.target.discovered, loop.state.health)
        for pool, whole in scraper.pools.items()
        for loop in whole.loops.values()
    }
    assert mine == active
    dropped = [one.discovered for pool in scraper.pools.values() for one in pool.dropped]
    assert dropped == [one["discoveredLabels"] for one in data["droppedTargets"]]


_PIECES = [
    "a", "b_total", "c:d", "1x", '{x="1"}', '{x="1",}', "{}", '{x="a b"}', '{ x = "1" }', '{x="\\n\\"\\\\"}', "{x=1}",
    '{x="1"', '{x="1" y="2"}', '{x="1",,}', '{="1"}', '{x="1",x="2"}', '{__name__="n"}', '{xy="1"}',
]  # fmt: skip
_VALUES = ["1", "-1.5", "+2", "NaN", "nan", "Inf", "+Inf", "-inf", "1e3", "1E-3", ".5", "5.", "0x10", "1_0", "x", "",
           "1e999", "--1", "infinity", "1e", "0x1p3"]  # fmt: skip
_ENDS = ["", "", "", " ", " 1700000000000", " 12x", " 1 2", "\t", "  ", " 1.5", " -5", "\r", " # {}", ' # {t="1"} 2']
_COMMENTS = ["# HELP a text", "# TYPE a counter", "# TYPE a bogus", "#", "# x", "# HELP", "# TYPE a", "  # HELP a b",
             "# HELP a \\n\\x", "#TYPE a gauge", "# UNIT a_s s", "# EOF", "", " ", "\t"]  # fmt: skip


def generated(seed: int, *, opened: bool) -> str:
    """A body that is nearly right."""
    dice = random.Random(seed)
    lines = []
    for number in range(dice.randint(1, 3)):
        if dice.random() < 0.3:
            lines.append(dice.choice(_COMMENTS))
            continue
        good = dice.random() < 0.5
        name = f"m{number}" if good else dice.choice(_PIECES)
        labels = dice.choice(_PIECES[4:])
        gap = " " if dice.random() < 0.85 else dice.choice(["\t", "  ", ""])
        lines.append(f"{name}{labels}{gap}{dice.choice(_VALUES[:10] if good else _VALUES)}{dice.choice(_ENDS)}")
    text = "\n".join(lines) + dice.choice(["\n", "\n", ""])
    return text.rstrip("\n") + "\n# EOF\n" if opened and dice.random() < 0.9 else text


def test_bodies_that_are_nearly_right(engine: EmbeddedEngine, tmp_path: Path, free_port: Callable[[], int]) -> None:
    """Accepted or refused alike, with as many samples."""
    count = 80
    bodies = {
        f"/{kind}{number}": Reply(generated(number, opened=kind == "o").encode(), headers={"Content-Type": content})
        for kind, content in (("t", TEXT), ("o", OPEN))
        for number in range(count)
    }
    groups = "".join(
        f"  - {{targets: [TARGET], labels: {{__metrics_path__: {path}, page: {path[1:]}}}}}\n" for path in bodies
    )
    text = (
        "global: {scrape_interval: 5s}\nscrape_configs:\n- job_name: fuzz\n  honor_timestamps: false\n"
        "  metric_relabel_configs: [{regex: 'job|instance|exported_.*', action: labeldrop}]\n"
        f"  static_configs:\n{groups}"
    )

    async def scenario(server: HttpServer, address: str, file: Path) -> None:
        await up_and_running(address)
        scraper = Scraper(engine)
        running = asyncio.create_task(scraper.run())
        await scraper.load(file)
        try:
            exemplary = {path[1:] for path, reply in bodies.items() if b"# {" in reply.body}
            differing = await differences(engine, scraper, address, {path[1:] for path in bodies}, exemplary)
            told = "".join(f"{page}: {bodies['/' + page].body!r} {said}\n" for page, said in sorted(differing.items()))
            assert not differing, f"{len(differing)} of {2 * count} differ (Prometheus, we):\n{told}"
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await scraper.close()

    def answer(asked: Asked) -> Reply:
        return bodies.get(asked.path, Reply(status=404))

    with serving(answer) as server, scraped(tmp_path, free_port(), text, server) as (address, file):
        asyncio.run(scenario(server, address, file))


async def differences(
    engine: EmbeddedEngine, scraper: Scraper, address: str, pages: set[str], exemplary: set[str]
) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """Those of the pages that the two judge differently: whether they are up, and how many samples they have.

    2.42 counts no sample of a body in which an error follows an exemplar without a timestamp: of `exemplary`
    pages that are down the number does not matter.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 60
    left = set(pages)  # a busy machine may miss a scrape: to agree once is enough
    while True:
        await scraper.flush()
        wanted, got = _by_page(await theirs(address)), _by_page(await asyncio.to_thread(ours, engine))
        for page in left & wanted.keys() & got.keys():
            down = wanted[page].get("up") == got[page].get("up") == "0.0"
            if wanted[page] == got[page] or (page in exemplary and down):
                left.discard(page)
        if not left or loop.time() > deadline:
            return {page: (wanted.get(page, {}), got.get(page, {})) for page in left}
        await asyncio.sleep(0.2)


def _by_page(vector: Vector) -> dict[str, dict[str, str]]:
    pages: dict[str, dict[str, str]] = {}
    for labels, value in vector.items():
        named = dict(labels)
        if named["__name__"] in {"up", "scrape_samples_scraped"}:
            pages.setdefault(named["page"], {})[named["__name__"]] = value
    return pages
