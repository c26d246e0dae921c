"""What became of requests, grouped by what is the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windvane.kit.shares import wilson
from windvane.local.trial.asking import Asked
from windvane.local.trial.rules import allowed_by, dry_run, is_audited, refused
from windvane.local.trial.sending import REQUEST_ID, Followed


@dataclass(frozen=True, slots=True)
class Outcome:
    """Requests that went the same way. `low` and `high` bound their share with 95 % confidence (Wilson)."""

    status: int
    workload: str
    cluster: str
    route: str
    flags: str
    details: str
    refused_by: str
    count: int
    share: float
    low: float
    high: float
    attempts: int
    median_ms: float
    mirrored_to: tuple[str, ...]
    path: str
    authority: str
    request_headers: Mapping[str, Any] = field(default_factory=dict)
    response_headers: Mapping[str, Any] = field(default_factory=dict)
    mutual_tls: str = ""
    failure: str = ""
    grpc_status: str = ""
    rule: str = ""
    allowed_by: str = ""
    dry_run: tuple[str, ...] = ()
    audited: bool = False

    @property
    def answered(self) -> bool:
        """Whether there was an answer at all."""
        return not self.failure


def outcomes(asked: Asked, followed: Iterable[Followed]) -> list[Outcome]:
    """The requests by where they went and what became of them, the most frequent first."""
    groups: dict[tuple[Any, ...], list[Followed]] = {}
    for each in followed:
        groups.setdefault(_way(each), []).append(each)
    total = sum(map(len, groups.values()))
    made = [_outcome(asked, way, group, total) for way, group in groups.items()]
    return sorted(made, key=lambda each: (-each.count, each.status, each.workload))


def _way(each: Followed) -> tuple[Any, ...]:
    rule = f"{each.rule.resource}, {each.rule.label}" if each.rule else ""
    return (
        each.status, each.grpc_status, each.workload_name, each.cluster, each.route, rule, each.flags, each.details,
        bool(each.failure), allowed_by(each), dry_run(each), refused(each), is_audited(each),
    )  # fmt: skip


def _outcome(asked: Asked, way: tuple[Any, ...], group: Sequence[Followed], total: int) -> Outcome:
    status, grpc_status, workload, cluster, route, rule, flags, details, _, allowed, tried, refusal, audited = way
    first = group[0]
    attempts = [each.client.common.upstream_request_attempt_count for each in group if each.client]
    low, high = wilson(len(group), total)
    sent = {**dict(asked.headers), REQUEST_ID: ""}
    answered = dict(first.response.headers) if first.response else {}
    return Outcome(
        status=status, workload=workload, cluster=cluster, route=route, flags=flags, details=details,
        refused_by=refusal, count=len(group), share=len(group) / total, low=low, high=high,
        attempts=max(attempts, default=0),
        median_ms=sorted(each.seconds for each in group)[len(group) // 2] * 1e3,
        mirrored_to=tuple(sorted({one.workload for each in group for one in each.mirrored})),
        path=first.heard.path if first.heard else "", authority=first.heard.authority if first.heard else "",
        request_headers=_changed(sent, dict(first.heard.headers)) if first.heard else {},
        response_headers={name: value for name, value in answered.items() if name not in _OWN_RESPONSE},
        mutual_tls=first.server.peer if first.server else "", failure=first.failure, grpc_status=grpc_status, rule=rule,
        allowed_by=allowed, dry_run=tried, audited=audited,
    )  # fmt: skip


# What every answer of the echo and of a sidecar has.
_OWN_RESPONSE = ("content-type", "content-length", "date", "server", "x-envoy-upstream-service-time")
# What sidecars add to every request.
_OWN_REQUEST = (
    "x-forwarded-proto", "x-request-id", "traceparent", "tracestate", "x-envoy-attempt-count", "x-forwarded-for",
    "x-envoy-expected-rq-timeout-ms", "x-envoy-internal", "content-length", "x-envoy-external-address",
    "x-forwarded-client-cert", "x-envoy-decorator-operation",
)  # fmt: skip


def _changed(sent: Mapping[str, str], got: Mapping[str, str]) -> dict[str, Any]:
    """Headers that the way added, changed or removed, but for those that every request gets."""
    return {
        "added": {name: value for name, value in got.items() if name not in sent and name not in _OWN_REQUEST},
        "changed": {
            name: value for name, value in got.items() if name in sent and name != REQUEST_ID and sent[name] != value
        },
        "removed": sorted(name for name in sent if name not in got and name != REQUEST_ID),
    }
