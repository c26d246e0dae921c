"""Targets: what discovery found, with the labels and the URL that relabelling gives it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from windvane.ingest.scrape.config import ScrapeConfig
from windvane.ingest.scrape.fields import duration_text, parse_prometheus_duration
from windvane.ingest.scrape.relabel import Labels, Relabeller

ADDRESS, SCHEME, PATH = "__address__", "__scheme__", "__metrics_path__"
INTERVAL, TIMEOUT, PARAM, META = "__scrape_interval__", "__scrape_timeout__", "__param_", "__meta_"


@dataclass(frozen=True, slots=True)
class TargetGroup:
    """Targets of one source (a file, an object): their labels, `__address__` among them, and common ones."""

    source: str
    targets: Sequence[Mapping[str, str]] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """One target. `labels` are those of its series, `discovered` those before relabelling; seconds."""

    pool: str
    url: str
    labels: Labels
    discovered: Labels
    interval: float
    timeout: float

    @property
    def key(self) -> tuple[object, ...]:
        """Two targets with one key are the same target."""
        return (self.url, self.interval, self.timeout, tuple(sorted(self.labels.items())))

    def offset(self, seed: str = "") -> float:
        """When in an interval it is scraped, in seconds: spread evenly over targets, the same after a restart."""
        digest = hashlib.md5(repr((seed, self.key)).encode(), usedforsecurity=False).digest()
        return int.from_bytes(digest[:8], "big") / (1 << 64) * self.interval


@dataclass(frozen=True, slots=True)
class DroppedTarget:
    """A target that relabelling dropped."""

    pool: str
    discovered: Labels


@dataclass(slots=True)
class Resolved:
    """The targets of a job: to be scraped, dropped, and what could not become one (with its reason)."""

    active: dict[tuple[object, ...], Target] = field(default_factory=dict)
    dropped: list[DroppedTarget] = field(default_factory=list)
    dropped_count: int = 0
    failures: list[str] = field(default_factory=list)


def resolve(config: ScrapeConfig, groups: Sequence[TargetGroup], relabel: Relabeller) -> Resolved:
    """Targets of all groups, each once."""
    found = Resolved()
    for group in groups:
        for place, labels in enumerate(group.targets):
            try:
                target = populate(config, {**group.labels, **labels}, relabel)
            except ValueError as error:
                found.failures.append(f"instance {place} in group {group.source}: {error}")
                continue
            if isinstance(target, Target):
                found.active.setdefault(target.key, target)
                continue
            found.dropped_count += 1
            if not config.keep_dropped_targets or len(found.dropped) < config.keep_dropped_targets:
                found.dropped.append(target)
    return found


def discovered_labels(config: ScrapeConfig, labels: Mapping[str, str]) -> Labels:
    """Labels that relabelling sees: the target's, with those of the configuration where it has none."""
    defaults = {
        "job": config.job_name,
        INTERVAL: duration_text(config.scrape_interval),
        TIMEOUT: duration_text(config.scrape_timeout),
        PATH: config.metrics_path,
        SCHEME: config.scheme,
    }
    given = {name: value for name, value in labels.items() if value}
    parameters = {PARAM + name: values[0] for name, values in config.params.items() if values}
    return dict(sorted({**defaults, **given, **parameters}.items()))


def populate(config: ScrapeConfig, labels: Mapping[str, str], relabel: Relabeller) -> Target | DroppedTarget:
    """The target that labels describe. `ValueError` when they describe none."""
    discovered = discovered_labels(config, labels)
    out = relabel(discovered)
    if out is None:
        return DroppedTarget(config.job_name, discovered)
    address = out.get(ADDRESS, "")
    if not address:
        raise ValueError("no address")
    if "/" in address:
        raise ValueError(f'"{address}" is not a valid hostname')
    interval, timeout = _timing(out)
    url = _url(config, out, address)
    public = {name: value for name, value in out.items() if not name.startswith("__")}
    public.setdefault("instance", address)
    return Target(config.job_name, url, dict(sorted(public.items())), discovered, interval, timeout)


def _timing(labels: Mapping[str, str]) -> tuple[float, float]:
    seconds = []
    for what, name in (("interval", INTERVAL), ("timeout", TIMEOUT)):
        text = labels.get(name, "")
        try:
            value = parse_prometheus_duration(text)
        except ValueError as error:
            raise ValueError(f"error parsing scrape {what}: {error}") from None
        if not value:
            raise ValueError(f"scrape {what} cannot be 0")
        seconds.append(value)
    interval, timeout = seconds
    if timeout > interval:
        raise ValueError(
            "scrape timeout cannot be greater than scrape interval "
            f'("{duration_text(timeout)}" > "{duration_text(interval)}")'
        )
    return interval, timeout


def _url(config: ScrapeConfig, labels: Mapping[str, str], address: str) -> str:
    parameters = {name: list(values) for name, values in config.params.items()}
    for name, value in labels.items():
        if name.startswith(PARAM):
            parameters.setdefault(name.removeprefix(PARAM), [""])[:1] = [value]
    path, _, own_query = labels.get(PATH, "").partition("?")
    query = urlencode(sorted(parameters.items()), doseq=True)
    path = quote(path, safe="/:@!$&'()*+,;=~%-._")
    joined = "&".join(part for part in (own_query, query) if part)
    base = f"{labels.get(SCHEME, 'http')}://{address}{'' if path.startswith('/') or not path else '/'}{path}"
    return f"{base}?{joined}" if joined else base
