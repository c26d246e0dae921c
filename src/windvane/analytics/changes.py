"""What changed near a moment: versions of the configuration, and versions, shares and pods seen in series.

`changes_near` is for whoever tells of a moment (incidents, "why"). What changed after it is told too, but is no cause
of it: `bearing` says how much a change speaks for a service being where something began.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import yaml

from windvane.analytics.explain.detail import BACK, STEP, Detail, changed_at, parts, read_detail
from windvane.analytics.explain.model import Change, Language, ServiceRef, VersionRef
from windvane.analytics.explain.words import say
from windvane.analytics.explain.words import share as percent
from windvane.analytics.mesh_series import Service, name_of
from windvane.analytics.releases.read import AskRange
from windvane.history.book import Book
from windvane.history.versions import Change as Written
from windvane.kit.errors import LimitError, OverloadedError, UnavailableError

BEFORE, AFTER = 30 * 60, 5 * 60
"""Seconds around the moment that are looked at."""
SLACK = 2.0 * STEP
"""Seconds by which an onset may be told too early: scrapes and their grid."""
FADES = 15 * 60
"""Seconds before the onset at which a change says nothing any more."""
_MOST_VERSIONS = 20
_MOST_PATHS = 3
_MOST_TEXT = 200_000
_LEAST_CALLS = 5.0
_MOVED = 0.1
"""Share of a service's calls by which a version's part must change to be told."""
_SELECTING = {
    "AuthorizationPolicy",
    "PeerAuthentication",
    "RequestAuthentication",
    "Sidecar",
    "Telemetry",
    "EnvoyFilter",
}


def changes_near(
    ask: AskRange, book: Book | None, services: Sequence[Service], moment: float, *, language: Language = "en",
    details: Mapping[Service, Detail] | None = None,
) -> list[Change]:  # fmt: skip
    """Changes around a moment (Unix seconds), those that bear on the services first, else the nearest first.

    `details` are series that were read already (see `read_detail`); others are asked for. A history that cannot be
    read is as none.
    """
    found = list(configured(book, services, moment, language)) if book is not None else []
    for service in services:
        detail = (details or {}).get(service) or read_detail(ask, service, int(moment), int(moment) + AFTER)
        found += seen_in(detail, moment, language)
    return sorted(found, key=lambda one: (-bearing(one, moment), -one.relevance, abs(one.at - moment)))


def bearing(change: Change, onset: float) -> float:
    """0 to 1: how much a change speaks for its service; nothing after the onset, less the longer before."""
    ahead = onset + SLACK - change.at
    return 0.0 if ahead < 0 else change.relevance * max(0.0, 1.0 - max(0.0, ahead - 120.0) / FADES)


def configured(book: Book, services: Sequence[Service], moment: float, language: Language) -> Iterator[Change]:
    """What versions of the configuration changed that went live around the moment."""
    start, end = int((moment - BEFORE) * 1_000), int((moment + AFTER) * 1_000)
    try:
        versions = [one for one in book.versions(_MOST_VERSIONS, start, end) if one.live_ms >= start and one.number > 1]
        full = [book.version(str(one.number)) for one in versions]
    except (LimitError, OverloadedError, UnavailableError):
        return
    for version in full:
        for written in version.changes:
            service, relevance = _concerned(written, services)
            words = say(
                language, "changed.version", number=version.number, what=say(language, f"changed.{written.what}"),
                kind=written.kind, paths=_paths(written),
                name=f"{written.name}.{written.namespace}" if written.namespace else written.name,
            )  # fmt: skip
            yield Change(
                version.live_ms / 1_000, "configuration", words, VersionRef(version.number),
                name_of(service) if service else "", relevance,
            )  # fmt: skip


def _concerned(written: Written, services: Sequence[Service]) -> tuple[Service | None, float]:
    """The service that a change is about, and how directly: itself, all of its namespace, or by a mention."""
    best: tuple[Service | None, float] = (None, 0.0)
    for service in services:
        relevance = _relevance(written, service)
        if relevance > best[1]:
            best = (service, relevance)
    return best


def _relevance(written: Written, service: Service) -> float:
    namespace, name = service
    texts = [text for text in (written.before, written.after) if text]
    word = re.compile(rf"(?<![A-Za-z0-9-]){re.escape(name)}(?![A-Za-z0-9-])")
    about = {
        str(value).split(".", 1)[0]
        for text in texts
        for path, value in _leaves(text)
        if re.search(r"(^|\.)(hosts?(\[\d+\])?|app|serviceAccount|canonical-name)$", path)
        and not path.startswith("metadata.annotations")
    }
    near = written.namespace in ("", namespace)
    if near and (written.name == name or written.name.startswith(f"{name}-v") or name in about):
        return 1.0
    if near and written.kind in _SELECTING and not any("selector" in path for t in texts for path, _ in _leaves(t)):
        return 0.7
    changed = [f"{path} {before} {after}" for path, before, after in _differences(written)]
    return 0.4 if any(word.search(one) for one in changed) else 0.0


def _paths(written: Written) -> str:
    """The fields that differ, a few of them, as `spec.a: 1 → 2`; "" where all is new or gone."""
    if written.what != "changed":
        return ""
    found = list(_differences(written))
    told = [f"{path} {_short(before)} → {_short(after)}" for path, before, after in found[:_MOST_PATHS]]
    more = f", +{len(found) - _MOST_PATHS}" if len(found) > _MOST_PATHS else ""
    return f" ({', '.join(told)}{more})" if told else ""


def _short(value: Any) -> str:
    text = " ".join(str(value).split()) if value is not None else "∅"
    return text if len(text) <= 40 else f"{text[:37]}…"


def _differences(written: Written) -> Iterator[tuple[str, Any, Any]]:
    before, after = dict(_leaves(written.before)), dict(_leaves(written.after))
    for path in dict.fromkeys([*before, *after]):
        if before.get(path) != after.get(path):
            yield path, before.get(path), after.get(path)


def _leaves(text: str) -> list[tuple[str, Any]]:
    """Fields of a resource by their paths; none of what does not parse."""
    if not text or len(text) > _MOST_TEXT:
        return []
    try:
        return list(_walk(yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)), ""))  # noqa: S506  a safe loader
    except (yaml.YAMLError, RecursionError):
        return []


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _walk(one, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from _walk(one, f"{path}[{place}]")
    else:
        yield path, value


def seen_in(detail: Detail, moment: float, language: Language) -> Iterator[Change]:
    """What a service's series show: versions that came or went, parts of the calls that moved, pods."""
    reporter = detail.reporter()
    before = (detail.times <= moment - STEP) & (detail.times > moment - BACK)
    now = (detail.times > moment + STEP) & (detail.times <= moment + AFTER)
    if not before.any() or not now.any():
        return
    found = parts(detail, before, now, _version, reporter)
    all_before, all_now = (sum(one.calls[when] for one in found.values()) for when in (0, 1))
    if all_before < _LEAST_CALLS or all_now < _LEAST_CALLS:
        return
    service = name_of(detail.service)
    for (value,), part in found.items():
        usual, present = part.calls[0] / all_before, part.calls[1] / all_now
        first, last = _alive(detail, value, reporter)
        at = _at(detail, value, reporter, moment)
        told = {"value": value, "service": service, "usual": percent(usual), "now": percent(present)}
        ref = ServiceRef(*detail.service)
        if len(found) > 1 and part.calls[0] == 0 and first >= detail.times[0] + 2 * STEP:
            yield Change(first - STEP, "version", say(language, "changed.appeared", **told), ref, service, 1.0)
        elif len(found) > 1 and part.calls[1] == 0 and usual > _MOVED:
            yield Change(last, "version", say(language, "changed.gone", **told), ref, service, 0.8)
        elif abs(present - usual) > max(_MOVED, 4.0 * (usual * (1 - usual) / all_now) ** 0.5):
            yield Change(at, "split", say(language, "changed.split", **told), ref, service, 1.0)
    yield from _pods(detail, before, now, moment, language)


def _version(labels: dict[str, str]) -> tuple[str]:
    return (labels.get("destination_version") or labels.get("destination_canonical_revision") or "",)


def _grown(detail: Detail, value: str, reporter: str) -> Any:
    rows = [one.grown for one in detail.requests
            if one.labels.get("reporter") == reporter and _version(one.labels) == (value,)]  # fmt: skip
    return np.sum(rows, axis=0) if rows else np.zeros(len(detail.times))


def _alive(detail: Detail, value: str, reporter: str) -> tuple[float, float]:
    """The first and the last step in which a version was called."""
    seen = np.flatnonzero(_grown(detail, value, reporter) > 0)
    return (
        (float(detail.times[seen[0]]), float(detail.times[seen[-1]])) if len(seen) else (float(detail.times[-1]),) * 2
    )


def _at(detail: Detail, value: str, reporter: str, moment: float) -> float:
    """When a version's part of the calls moved: the one change of level that explains most."""
    own = _grown(detail, value, reporter)
    all_ = np.sum([one.grown for one in detail.requests if one.labels.get("reporter") == reporter], axis=0)
    near = np.abs(detail.times - moment) <= BACK
    place = changed_at(np.where(all_ > 0, own / np.maximum(all_, 1e-9), 0.0)[near], all_[near])
    return moment if place is None else float(detail.times[near][place] - STEP)


def _pods(detail: Detail, before: Any, now: Any, moment: float, language: Language) -> Iterator[Change]:
    found = parts(detail, before, now, lambda labels: (labels.get("pod", ""),), "destination")
    found.pop(("",), None)
    usual, present = (sum(one.calls[when] >= _LEAST_CALLS for one in found.values()) for when in (0, 1))
    if usual != present and usual and present:
        words = say(language, "changed.replicas", service=name_of(detail.service), usual=usual, now=present)
        yield Change(moment, "replicas", words, ServiceRef(*detail.service), name_of(detail.service), 0.6)


def raised(confidence: float, changes: Iterable[Change], service: str, onset: float) -> float:
    """A confidence with what changed just before: the strongest change takes away up to half of the doubt."""
    most = max((bearing(one, onset) for one in changes if one.service == service), default=0.0)
    return confidence + (1.0 - confidence) * 0.5 * most
