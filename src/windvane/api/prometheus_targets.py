"""What is scraped, over Prometheus's HTTP API: targets, their metadata, pools, relabelling step by step, reload."""

from __future__ import annotations

import asyncio
import datetime
import socket
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit, urlunsplit

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from windvane.api.prometheus_http import ApiError, Params, api_route, success
from windvane.ingest.scrape.fields import duration_text
from windvane.ingest.scrape.loop import TargetLoop
from windvane.ingest.scrape.manager import Scraper
from windvane.ingest.scrape.pool import ScrapePool
from windvane.ingest.scrape.relabel import Relabeller, RelabelRule
from windvane.kit.errors import WindvaneError
from windvane.promql.regex import anchored
from windvane.promql.syntax import Matcher, MatchOp

_LOCAL = {"127.0.0.1", "localhost", "::1"}
_NEVER = "0001-01-01T00:00:00Z"


def routes(scraper: Scraper, reload: Callable[[], Awaitable[object]] | None = None) -> list[BaseRoute]:
    """The routes about one scraper; `/-/reload` reads its configuration file again, or does what `reload` does."""
    face = _Face(scraper, reload or scraper.reload)
    return [
        api_route("targets", face.targets),
        api_route("targets/metadata", face.metadata),
        api_route("targets/relabel_steps", face.relabel_steps),
        api_route("scrape_pools", face.scrape_pools),
        Route("/-/reload", face.reload, methods=["POST", "PUT"]),
    ]


class _Face:
    def __init__(self, scraper: Scraper, reload: Callable[[], Awaitable[object]]) -> None:
        self._scraper = scraper
        self._reload = reload

    def _pools(self, wanted: str) -> list[tuple[str, ScrapePool]]:
        pools = sorted(self._scraper.pools.copy().items())
        return [(name, pool) for name, pool in pools if not wanted or name == wanted]

    def scrape_pools(self, _: Params) -> bytes:
        """`/scrape_pools`: names of jobs."""
        return success(orjson.dumps({"scrapePools": [name for name, _ in self._pools("")]}))

    def targets(self, params: Params) -> bytes:
        """`/targets`: active ones with their health, dropped ones with what discovery said of them."""
        state = params.text("state").lower()
        pools = self._pools(params.text("scrapePool"))
        active: list[dict[str, object]] = []
        dropped: list[dict[str, object]] = []
        if state in {"", "any", "active"}:
            active = [_active(name, loop) for name, pool in pools for loop in pool.loops.copy().values()]
        if state in {"", "any", "dropped"}:
            dropped = [
                {"discoveredLabels": one.discovered, "scrapePool": name} for name, pool in pools for one in pool.dropped
            ]
        counts = {name: pool.dropped_count for name, pool in pools}
        answer = {"activeTargets": active, "droppedTargets": dropped, "droppedTargetCounts": counts}
        return success(orjson.dumps(answer))

    def metadata(self, params: Params) -> bytes:
        """`/targets/metadata`: type, help and unit of families as each target tells them."""
        selectors = params.selectors("match_target")
        matchers = selectors[0].matchers if selectors else ()
        metric, limit = params.text("metric"), params.limit()
        found: list[dict[str, object]] = []
        for _, pool in self._pools(""):
            for loop in pool.loops.copy().values():
                if all(_matches(matcher, loop.target.labels) for matcher in matchers):
                    found += _metadata(loop, metric)
                if limit and len(found) >= limit:
                    break
        if not found:
            raise ApiError("not_found", "specified metadata not found")
        return success(orjson.dumps(found[:limit] if limit else found))

    def relabel_steps(self, params: Params) -> bytes:
        """`/targets/relabel_steps`: what each rule of a job makes of the labels given."""
        name = params.text("scrapePool")
        if not name:
            raise ApiError("bad_data", "no scrapePool parameter provided")
        try:
            labels = orjson.loads(params.text("labels"))
        except orjson.JSONDecodeError as error:
            raise ApiError("bad_data", f"error parsing labels: {error}") from None
        if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
            raise ApiError("bad_data", "error parsing labels: an object of text was expected")
        pools = self._pools(name)
        if not pools:
            raise ApiError("bad_data", f"error getting scrape config: scrape pool {name} not found")
        config = pools[0][1].config
        traced = Relabeller(config.relabel_configs, config.metric_name_validation_scheme).trace(labels)
        steps = [
            {"rule": _rule(rule), "output": output, "keep": kept}
            for rule, (output, kept) in zip(config.relabel_configs, traced, strict=False)
        ]
        return success(orjson.dumps({"steps": steps}))

    async def reload(self, _: Request) -> Response:
        """`/-/reload`: 200 when the file is in force, 500 with the reason when the old configuration stays."""
        try:
            await asyncio.shield(asyncio.ensure_future(self._reload()))
        except WindvaneError as error:
            return PlainTextResponse(f"failed to reload config: {error.message}\n", status_code=500)
        return PlainTextResponse("")


def _active(name: str, loop: TargetLoop) -> dict[str, object]:
    target, state = loop.target, loop.state
    return {
        "discoveredLabels": target.discovered,
        "labels": target.labels,
        "scrapePool": name,
        "scrapeUrl": target.url,
        "globalUrl": _global_url(target.url),
        "lastError": state.last_error,
        "lastScrape": _time(state.last_scrape_ns),
        "lastScrapeDuration": state.last_duration,
        "health": state.health,
        "scrapeInterval": duration_text(target.interval),
        "scrapeTimeout": duration_text(target.timeout),
    }


def _global_url(url: str) -> str:
    """The URL as it is right from elsewhere: a loopback address becomes this machine's name."""
    parts = urlsplit(url)
    if parts.hostname not in _LOCAL:
        return url
    host = socket.gethostname() + (f":{parts.port}" if parts.port else "")
    return urlunsplit(parts._replace(netloc=host))


def _time(moment_ns: int) -> str:
    if not moment_ns:
        return _NEVER
    seconds, rest = divmod(moment_ns, 1_000_000_000)
    shown = datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{shown}{fraction}Z"


def _matches(matcher: Matcher, labels: Mapping[str, str]) -> bool:
    value = labels.get(matcher.name, "")
    match matcher.op:
        case MatchOp.EQUAL:
            return value == matcher.value
        case MatchOp.NOT_EQUAL:
            return value != matcher.value
        case MatchOp.REGEX:
            return anchored(matcher.value).fullmatch(value) is not None
        case MatchOp.NOT_REGEX:
            return anchored(matcher.value).fullmatch(value) is None


def _metadata(loop: TargetLoop, metric: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for family, facts in loop.state.metadata.items():
        if metric and family != metric:
            continue
        one: dict[str, object] = {"target": loop.target.labels}
        if not metric:
            one["metric"] = family
        found.append({**one, "type": facts.type, "help": facts.help, "unit": facts.unit})
    return found


def _rule(rule: RelabelRule) -> dict[str, object]:
    """A rule as the file would have it, without what is default."""
    said = rule.model_dump(exclude_defaults=True)
    return {**said, "action": rule.action}
