"""Scraping, rules and notifications of one tenant, from one Prometheus configuration.

The scraper owns the configuration file and its reloads; after each the rules and the notifiers here
follow: rule files, evaluation interval, external labels, Alertmanagers. What the command line names
(rule files, Alertmanagers, a webhook) is added to what the file says.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from windvane.alerting.manager import Notifier, RuleManager, RuleSettings
from windvane.alerting.notify import AlertmanagerNotifier, FanOut, NotifySettings
from windvane.alerting.shipped import names, path_of
from windvane.alerting.webhook import WebhookNotifier, WebhookSettings
from windvane.ingest.accounting import Accounting
from windvane.ingest.scrape.alertmanagers import AlertmanagerDiscovery
from windvane.ingest.scrape.config import PrometheusConfig
from windvane.ingest.scrape.manager import Scraper
from windvane.kit.clock import Clock
from windvane.kit.metrics import Metrics
from windvane.promql.engine import QueryEngine
from windvane.store.api import Engine
from windvane.store.series import SampleWriter


@dataclass(frozen=True, slots=True)
class MonitoringSettings:
    """What a server is told to watch; all of it may be empty."""

    prometheus_config: Path | None = None
    """A prometheus.yml: scrape_configs, rule_files, alerting. Read again on edits, SIGHUP and POST /-/reload."""
    rules: tuple[str, ...] = ()
    """Globs of rule files; `istio` is the file that comes with Windvane."""
    alertmanagers: tuple[str, ...] = ()
    """Base URLs."""
    webhooks: tuple[str, ...] = ()
    """URLs that get alerts as Alertmanager's webhooks would."""
    external_url: str = "http://localhost:9900"
    """Where users reach this server: alerts link there."""
    slos: tuple[str, ...] = ()
    """Globs of files of service-level objectives, read again on edits; those among the mesh's files are kept too."""

    def absolute(self) -> MonitoringSettings:
        """The same with paths that do not depend on the working directory."""
        config = self.prometheus_config.resolve() if self.prometheus_config else None
        shipped = {name.removesuffix(".yaml"): path_of(name) for name in names()}
        rules = tuple(str(shipped.get(glob) or Path.cwd() / glob) for glob in self.rules)
        slos = tuple(str(Path.cwd() / glob) for glob in self.slos)
        return replace(self, prometheus_config=config, rules=rules, slos=slos)


@dataclass(frozen=True, slots=True)
class _Outlets:
    """Where notifications of one configuration go, and what runs for that."""

    notifiers: Sequence[AlertmanagerNotifier | WebhookNotifier]
    tasks: Sequence[asyncio.Task[None]]
    discovery: AlertmanagerDiscovery

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.discovery.close()


@dataclass(slots=True)
class Monitoring:
    """The scraper and the rule manager of one tenant, kept in step."""

    settings: MonitoringSettings
    scraper: Scraper
    rules: RuleManager
    clock: Clock
    metrics: Metrics
    _fan_out: FanOut
    _outlets: _Outlets | None = None
    _applying: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    def over(
        cls, settings: MonitoringSettings, engine: Engine, queries: QueryEngine,
        *, accounting: Accounting, clock: Clock, metrics: Metrics,
    ) -> Monitoring:  # fmt: skip
        """The parts over one store; nothing runs yet."""
        fan_out = FanOut()
        rules = RuleManager(
            queries, SampleWriter(engine), engine, clock=clock, metrics=metrics, notifier=fan_out,
            settings=_rule_settings(settings, PrometheusConfig()),
        )  # fmt: skip
        scraper = Scraper(engine, accounting=accounting, clock=clock, metrics=metrics)
        monitoring = cls(settings, scraper, rules, clock, metrics, fan_out)
        scraper.applied = monitoring._apply
        return monitoring

    @property
    def notifier(self) -> Notifier:
        """Where alerts go that no rule makes: wherever those of rules go."""
        return self._fan_out

    async def start(
        self,
        stack: contextlib.AsyncExitStack,
        keep: Callable[[contextlib.AsyncExitStack, Coroutine[Any, Any, None]], None],
    ) -> None:
        """Read the configuration and run. `ConfigError` when the file is wrong: a server does not start on it."""
        stack.push_async_callback(self._close_outlets)
        stack.push_async_callback(self.scraper.close)
        keep(stack, self.scraper.run())
        if self.settings.prometheus_config is not None:
            await self.scraper.load(self.settings.prometheus_config)
            keep(stack, self.scraper.watch())
        else:
            await self._apply(self.scraper.config)
        keep(stack, self.rules.run())

    async def reload(self) -> None:
        """Read configuration and rule files again; raises when one is wrong, and what was before stays."""
        await self.scraper.reload()
        await self.rules.reload()

    def alertmanagers(self) -> list[str]:
        """Addresses that alerts are posted to at present."""
        return [
            url
            for one in self._fan_out.notifiers
            if isinstance(one, AlertmanagerNotifier)
            for url in one.alertmanagers()
        ]

    def external_labels(self) -> dict[str, str]:
        """Labels that tell this server's series and alerts from another's."""
        return dict(self.scraper.config.global_.external_labels)

    def config_text(self) -> str:
        """The configuration in force, as YAML; empty sections where there is no file."""
        text = self.scraper.config.text
        return text or f"global:\n  evaluation_interval: {self.rules.settings.evaluation_interval:g}s\n"

    def config_loaded(self) -> tuple[int, bool]:
        """When (ms) the file was last read, and whether that succeeded."""
        return self.scraper.reloaded.at_ns // 1_000_000, self.scraper.reloaded.successful

    async def _apply(self, config: PrometheusConfig) -> None:
        async with self._applying:
            old, self._outlets = self._outlets, self._open_outlets(config)
            self._fan_out.notifiers = self._outlets.notifiers
            if old is not None:
                await old.close()
            self.rules.configure(_rule_settings(self.settings, config))

    def _open_outlets(self, config: PrometheusConfig) -> _Outlets:
        labels = config.global_.external_labels
        discovery = AlertmanagerDiscovery(config.alerting, self.clock)
        alertmanagers = AlertmanagerNotifier(
            lambda: [*self.settings.alertmanagers, *discovery.urls()],
            clock=self.clock, metrics=self.metrics, settings=NotifySettings(labels),
            relabel=discovery.relabel, client=discovery.client(),
        )  # fmt: skip
        webhooks = [
            WebhookNotifier(
                url, clock=self.clock, metrics=self.metrics,
                settings=WebhookSettings(labels, self.settings.external_url),
            )
            for url in self.settings.webhooks
        ]  # fmt: skip
        notifiers: list[AlertmanagerNotifier | WebhookNotifier] = [alertmanagers, *webhooks]
        return _Outlets(notifiers, [asyncio.create_task(one.run()) for one in notifiers], discovery)

    async def _close_outlets(self) -> None:
        if self._outlets is not None:
            await self._outlets.close()


def _rule_settings(settings: MonitoringSettings, config: PrometheusConfig) -> RuleSettings:
    general = config.global_
    return replace(
        RuleSettings(),
        globs=(*settings.rules, *config.rule_files),
        evaluation_interval=general.evaluation_interval or 60.0,
        query_offset=general.rule_query_offset,
        external_labels=general.external_labels,
        external_url=settings.external_url,
    )
