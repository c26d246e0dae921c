"""Which Alertmanagers there are, by the `alerting` section of a configuration.

`urls` and `relabel` are what the alerting room asks for; `client` posts to those URLs with the
credentials and certificates that the configuration has for each.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping

import httpx

from windvane.ingest.scrape.client import FetchError, HttpClient
from windvane.ingest.scrape.config import AlertingConfig, AlertmanagerConfig
from windvane.ingest.scrape.discovery import DiscoveryRun, discoverers
from windvane.ingest.scrape.relabel import Labels, Relabeller
from windvane.ingest.scrape.targets import ADDRESS, SCHEME
from windvane.kit.clock import Clock

_PATH_LABEL = "__alerts_path__"


class AlertmanagerDiscovery:
    """Follows the Alertmanagers of one configuration. Make it on the event loop; `close` ends it.

    The methods but `close` may be called from any thread.
    """

    def __init__(self, config: AlertingConfig, clock: Clock, changed: Callable[[], None] = lambda: None) -> None:
        self._alert_rules = Relabeller(config.alert_relabel_configs)
        self._groups = [
            _Group(one, DiscoveryRun(discoverers(one, clock), changed, clock, f"alertmanagers {place}"))
            for place, one in enumerate(config.alertmanagers)
        ]

    def urls(self) -> list[str]:
        """Where alerts are posted to at present, `/api/v2/alerts` included."""
        return list(dict.fromkeys(url for group in self._groups for url in group.urls()))

    def relabel(self, labels: Mapping[str, str]) -> Labels | None:
        """An alert's labels after `alert_relabel_configs`; None when they drop it."""
        return self._alert_rules(labels) or None

    def client(self) -> httpx.AsyncClient:
        """A client for the URLs of `urls`, of the event loop that it is used on."""
        return httpx.AsyncClient(transport=_Transport(self._groups), timeout=None)  # noqa: S113 - each has its own

    async def close(self) -> None:
        """Stop discovery, close connections."""
        for group in self._groups:
            if group.run is not None:
                await group.run.close()
            await group.client.close()


class _Group:
    """The Alertmanagers of one entry."""

    def __init__(self, config: AlertmanagerConfig, run: DiscoveryRun | None = None) -> None:
        self.config = config
        self.run = run
        self.client = HttpClient(config)
        self._rules = Relabeller(config.relabel_configs)

    def urls(self) -> list[str]:
        defaults = {
            SCHEME: self.config.scheme,
            _PATH_LABEL: posixpath.join("/", self.config.path_prefix, "api/v2/alerts"),
        }
        found = []
        for group in self.run.groups if self.run else ():
            for target in group.targets:
                labels = self._rules({**defaults, **group.labels, **target})
                if labels and labels.get(ADDRESS):
                    found.append(f"{labels[SCHEME]}://{labels[ADDRESS]}{labels[_PATH_LABEL]}")
        return found


class _Transport(httpx.AsyncBaseTransport):
    """Sends each request as the entry that its URL comes from wants it; other URLs need nothing special."""

    def __init__(self, groups: list[_Group]) -> None:
        self._groups = groups
        self._plain = _Group(AlertmanagerConfig())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = str(request.url)
        for group in self._groups:
            if url in group.urls():
                return await _sent(group, request)
        return await _sent(self._plain, request)

    async def aclose(self) -> None:
        await self._plain.client.close()


async def _sent(group: _Group, request: httpx.Request) -> httpx.Response:
    try:
        return await group.client.send(request, timeout=group.config.timeout)
    except TimeoutError:
        raise httpx.ReadTimeout("context deadline exceeded", request=request) from None
    except FetchError as error:
        raise httpx.ConnectError(error.message, request=request) from None
