"""Discovery: one module a mechanism; each runs until cancelled and tells what it finds."""

from windvane.ingest.scrape.discovery.base import Discoverer, DiscoveryRun, Update
from windvane.ingest.scrape.discovery.choose import discoverers

__all__ = ["Discoverer", "DiscoveryRun", "Update", "discoverers"]
