"""Target groups from a URL, asked again every `refresh_interval`."""

from __future__ import annotations

import logging

import orjson

from windvane.ingest.scrape.client import FetchError, HttpClient
from windvane.ingest.scrape.discovery.base import Update, groups_of
from windvane.ingest.scrape.discovery_config import HttpDiscovery
from windvane.ingest.scrape.fields import duration_text
from windvane.ingest.scrape.targets import TargetGroup
from windvane.kit.clock import Clock

_log = logging.getLogger(__name__)
URL = "__meta_url"
_MOST_BYTES = 64 << 20


class HttpTargets:
    """Asks one URL. An answer that cannot be used keeps what the last one said."""

    def __init__(self, config: HttpDiscovery, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._count = 0

    async def run(self, update: Update) -> None:
        client = HttpClient(self._config)
        try:
            while True:
                try:
                    update(await self._ask(client))
                except (FetchError, ValueError) as error:
                    _log.warning("targets of %s stay as they were: %s", self._config.url, error)
                await self._clock.sleep(self._config.refresh_interval)
        finally:
            await client.close()

    async def _ask(self, client: HttpClient) -> list[TargetGroup]:
        interval = self._config.refresh_interval
        headers = {
            "Accept": "application/json",
            "X-Prometheus-Refresh-Interval-Seconds": f"{interval:g}",
        }
        answer = await client.get(self._config.url, headers=headers, timeout=interval, body_limit=_MOST_BYTES)
        answer.require_ok()
        kind = answer.headers.get("content-type", "")
        if kind.partition(";")[0].strip().lower() != "application/json":
            raise ValueError(f'unsupported content type "{kind}"')
        groups = [
            TargetGroup(group.source, group.targets, {**group.labels, URL: self._config.url})
            for group in groups_of(self._config.url, orjson.loads(answer.body))
        ]
        gone = [TargetGroup(f"{self._config.url}:{place}") for place in range(len(groups), self._count)]
        self._count = len(groups)
        return groups + gone

    def __repr__(self) -> str:
        return f"<targets of {self._config.url} every {duration_text(self._config.refresh_interval)}>"
