"""Targets written in the configuration."""

from __future__ import annotations

from collections.abc import Sequence

from windvane.ingest.scrape.discovery.base import Update
from windvane.ingest.scrape.discovery_config import StaticConfig
from windvane.ingest.scrape.targets import ADDRESS, TargetGroup


class StaticDiscovery:
    """Tells its groups once."""

    def __init__(self, configs: Sequence[StaticConfig]) -> None:
        self._groups = [
            TargetGroup(str(place), [{ADDRESS: target} for target in one.targets], one.labels)
            for place, one in enumerate(configs)
        ]

    async def run(self, update: Update) -> None:
        update(self._groups)
