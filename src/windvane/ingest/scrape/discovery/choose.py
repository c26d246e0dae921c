"""Which mechanisms a configuration asks for."""

from __future__ import annotations

from windvane.ingest.scrape.discovery.base import Discoverer
from windvane.ingest.scrape.discovery.dns import DnsTargets
from windvane.ingest.scrape.discovery.file import FileTargets
from windvane.ingest.scrape.discovery.http import HttpTargets
from windvane.ingest.scrape.discovery.kubernetes import KubernetesTargets
from windvane.ingest.scrape.discovery.static import StaticDiscovery
from windvane.ingest.scrape.discovery_config import Discoveries
from windvane.kit.clock import Clock


def discoverers(config: Discoveries, clock: Clock) -> list[Discoverer]:
    """One for each entry of the `*_sd_configs`, and one for all static targets."""
    return [
        StaticDiscovery(config.static_configs),
        *(FileTargets(one, clock) for one in config.file_sd_configs),
        *(HttpTargets(one, clock) for one in config.http_sd_configs),
        *(DnsTargets(one, clock) for one in config.dns_sd_configs),
        *(KubernetesTargets(one, clock) for one in config.kubernetes_sd_configs),
    ]
