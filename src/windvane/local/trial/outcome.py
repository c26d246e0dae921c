"""What became of requests: each followed from who asked to who answered, then grouped by what is the same."""

from __future__ import annotations

import asyncio
import math
import re
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from envoy_data_plane.envoy.data.accesslog.v3 import AccessLogCommon, HttpAccessLogEntry

from windvane.local.http1 import HttpClient, Response, SendError, encode_request
from windvane.local.trial.asking import Asked
from windvane.local.trial.client_tls import client_context
from windvane.local.trial.echo import Heard
from windvane.local.trial.mesh import TrialMesh
from windvane.xds.authorization import HTTP_FILTER
from windvane.xds.external_authorization import NOTE
from windvane.xds.proxy import Proxy, workload_key

_ID = "x-request-id"
_SERVING = "http_inbound"
_POLICY = re.compile(r"(?:istio-ext-authz-(.*?)-)?ns\[(.*?)\]-policy\[(.*?)\]-rule\[(\d+)\]")
_CUSTOM = f"{NOTE}shadow_effective_policy_id"
_AUTHORIZER = {"ext_authz_denied": "which denied", "ext_authz_error": "which did not answer"}
"""Envoy's words for what an external authorizer made of a request."""
_LOGS_WAIT = 5.0
_AT_ONCE = 16
_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Followed:
    """One request: the answer or why there was none, seconds it took, what each side told of it.

    `workload` is whose sidecar got it, whether or not its application did (`heard`).
    """

    response: Response | None
    failure: str
    seconds: float
    client: HttpAccessLogEntry | None
    server: HttpAccessLogEntry | None
    workload: str
    heard: Heard | None
    mirrored: tuple[Heard, ...] = ()

    @property
    def workload_name(self) -> str:
        """Who answered or refused it."""
        return self.heard.workload if self.heard else self.workload

    @property
    def route(self) -> str:
        """The name of the route that it took at whoever asked."""
        return self.client.common_properties.route_name if self.client and self.client.common_properties else ""

    @property
    def details(self) -> str:
        """Envoy's word for what became of it, of the side that decided."""
        served = self.server.response.response_code_details if self.server and self.server.response else ""
        asked = self.client.response.response_code_details if self.client and self.client.response else ""
        return served if served not in ("", "via_upstream") else asked

    @property
    def refused_by(self) -> str:
        """The policy that refused it, and why if it is not the policy itself; "" when none did."""
        served = self.server.response.response_code_details if self.server and self.server.response else ""
        decided = self.server if served not in ("", "via_upstream") else self.client
        return refused_by(self.details, decided.common_properties if decided else None)

    @property
    def identity(self) -> str:
        """The client's identity as the server's proxy verified it; empty for plaintext."""
        common = self.server.common_properties if self.server else None
        peer = common.tls_properties.peer_certificate_properties if common and common.tls_properties else None
        return next((name.uri for name in peer.subject_alt_name if name.uri), "") if peer else ""

    @property
    def is_audited(self) -> bool:
        """Whether a policy with action AUDIT matched it."""
        sides = [side.common_properties for side in (self.server, self.client) if side is not None]
        return any(_noted(common, "envoy.common", "access_log_hint") is True for common in sides)


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
    audited: bool = False


async def ask(mesh: TrialMesh, asker: str, asked: Asked, times: int) -> list[Followed]:
    """Send the request so many times and follow each; access logs are waited for. One call at a time a mesh."""
    mesh.reported.entries.clear()
    mesh.reported.heard.clear()
    proxy, at_once = mesh.proxy(asker), min(_AT_ONCE, times)
    door = mesh.door(proxy, asked)
    secured = client_context(mesh.snapshot.view, asked.certificate) if asked.tls else None
    client = HttpClient(door.host, door.port, idle=at_once, tls=secured, server_name=asked.host)
    gate = asyncio.Semaphore(at_once)
    given = dict(asked.headers).get(_ID)
    ids = [given or str(uuid.uuid4()) for _ in range(times)]

    async def one(request_id: str) -> tuple[Response | None, str, float]:
        async with gate:
            began = time.perf_counter()
            try:
                return await client.request(_encoded(proxy, asked, request_id)), "", time.perf_counter() - began
            except SendError as error:
                return None, str(error), time.perf_counter() - began

    answers = await asyncio.gather(*(one(each) for each in ids))
    client.close()
    # A connection whose handshake fails is no request: nobody tells of it.
    await _logs(mesh, sum(not (asked.tls and response is None) for response, _, _ in answers))
    return _joined(mesh, ids, answers)


def _encoded(proxy: Proxy, asked: Asked, request_id: str) -> bytes:
    whole = asked.path if proxy.role == "router" else f"http://{asked.authority}{asked.path}"
    headers = asked.headers if any(name == _ID for name, _ in asked.headers) else (*asked.headers, (_ID, request_id))
    return encode_request(asked.method, whole, asked.authority, headers, asked.body)


async def _logs(mesh: TrialMesh, times: int) -> None:
    """Wait until the asking proxy has told of every request, and those that were asked of theirs."""
    deadline = time.monotonic() + _LOGS_WAIT
    while time.monotonic() < deadline:
        asking = [entry for name, _, entry in mesh.reported.entries if name != _SERVING]
        served = sum(
            name == _SERVING and workload_key(node) not in mesh.authorizers for name, node, _ in mesh.reported.entries
        )
        if len(asking) >= times and served >= sum(_reached_a_sidecar(mesh, entry) for entry in asking):
            return
        await asyncio.sleep(0.02)


def _reached_a_sidecar(mesh: TrialMesh, entry: HttpAccessLogEntry) -> bool:
    common = entry.common_properties
    host = common.custom_tags.get("upstream_cluster", "").rpartition("|")[2] if common else ""
    service = mesh.snapshot.view.services.get(host)
    answered = entry.response is not None and entry.response.response_code_details == "via_upstream"
    # What an authorizer was asked is told of as well: its answers are not counted.
    return answered and service is not None and bool(set(service.workloads) - mesh.authorizers)


def _joined(
    mesh: TrialMesh, ids: Sequence[str], answers: Sequence[tuple[Response | None, str, float]]
) -> list[Followed]:
    """Each answer with what was told of it: by the request's id, which the application and both proxies saw."""
    asking: dict[str, HttpAccessLogEntry] = {}
    serving: dict[str, tuple[str, HttpAccessLogEntry]] = {}
    for name, node, entry in mesh.reported.entries:
        if name != _SERVING:
            asking[_id_of(entry)] = entry
        elif not _is_mirrored(entry.request.authority if entry.request else ""):
            serving[_id_of(entry)] = (workload_key(node), entry)
    heard: dict[str, list[Heard]] = {}
    for request in mesh.reported.heard:
        heard.setdefault(_lasting(dict(request.headers).get(_ID, "")), []).append(request)
    followed = []
    for request_id, (response, failure, seconds) in zip(map(_lasting, ids), answers, strict=True):
        known = heard.get(request_id, [])
        real = [one for one in known if not _is_mirrored(one.authority)]
        mirrored = tuple(one for one in known if _is_mirrored(one.authority))
        workload, server = serving.get(request_id, ("", None))
        followed.append(Followed(
            response, failure, seconds, asking.get(request_id), server, workload, real[-1] if real else None, mirrored
        ))  # fmt: skip
    return followed


def _id_of(entry: HttpAccessLogEntry) -> str:
    return _lasting(entry.request.request_id) if entry.request else ""


def _lasting(request_id: str) -> str:
    """The id without its version, in which Envoy writes whether the request is traced."""
    return request_id[:14] + request_id[15:]


def _is_mirrored(authority: str) -> bool:
    """Envoy adds `-shadow` to the host of a mirrored request."""
    return authority.partition(":")[0].endswith("-shadow")


def outcomes(asked: Asked, followed: Iterable[Followed]) -> list[Outcome]:
    """The requests by where they went and what became of them, the most frequent first."""
    groups: dict[tuple[Any, ...], list[Followed]] = {}
    for each in followed:
        groups.setdefault(_way(each), []).append(each)
    total = sum(map(len, groups.values()))
    made = [_outcome(asked, way, group, total) for way, group in groups.items()]
    return sorted(made, key=lambda each: (-each.count, each.status, each.workload))


def _way(each: Followed) -> tuple[Any, ...]:
    common = each.client.common_properties if each.client else None
    tags = common.custom_tags if common else {}
    return (
        each.response.status if each.response else 0,
        each.workload_name,
        tags.get("upstream_cluster", ""),
        each.route,
        tags.get("response_flags", "").strip("-"),
        each.details,
        each.refused_by,
        each.is_audited,
    )


def _outcome(asked: Asked, way: tuple[Any, ...], group: Sequence[Followed], total: int) -> Outcome:
    status, workload, cluster, route, flags, details, *_ = way
    first = group[0]
    common = [each.client.common_properties for each in group if each.client and each.client.common_properties]
    low, high = wilson(len(group), total)
    sent = {**dict(asked.headers), _ID: ""}
    answered = dict(first.response.headers) if first.response else {}
    return Outcome(
        status=status, workload=workload, cluster=cluster, route=route, flags=flags, details=details,
        refused_by=first.refused_by, count=len(group), share=len(group) / total, low=low, high=high,
        attempts=max((each.upstream_request_attempt_count for each in common), default=0),
        median_ms=sorted(each.seconds for each in group)[len(group) // 2] * 1e3,
        mirrored_to=tuple(sorted({one.workload for each in group for one in each.mirrored})),
        path=first.heard.path if first.heard else "", authority=first.heard.authority if first.heard else "",
        request_headers=_changed(sent, dict(first.heard.headers)) if first.heard else {},
        response_headers={name: value for name, value in answered.items() if name not in _OWN_RESPONSE},
        mutual_tls=first.identity, failure=first.failure, audited=first.is_audited,
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
        "changed": {name: value for name, value in got.items() if name in sent and name != _ID and sent[name] != value},
        "removed": sorted(name for name in sent if name not in got and name != _ID),
    }


def refused_by(details: str, common: AccessLogCommon | None = None) -> str:
    """Who refused, of `rbac_access_denied_matched_policy[ns[shop]-policy[deny-all]-rule[0]]` and the like.

    Whom an external authorizer was asked for is in what `common` says that filters noted.
    """
    if details.startswith("rbac_access_denied_matched_policy[none]"):
        return "no rule of an ALLOW policy matched"
    if details in _AUTHORIZER:
        return _policy(str(_noted(common, HTTP_FILTER, _CUSTOM) or ""), _AUTHORIZER[details])
    return _policy(details, "which cannot be asked")


def _policy(text: str, what: str) -> str:
    """The policy that a name of ours is of; `what` became of its external authorizer, if it has one."""
    found = _POLICY.search(text)
    if found is None:
        return ""
    provider = f", external authorizer {found[1]}, {what}" if found[1] else ""
    return f"AuthorizationPolicy {found[2]}/{found[3]}, rule {found[4]}{provider}"


def _noted(common: AccessLogCommon | None, name: str, key: str) -> object:
    """What a filter noted of a request; None where there is nothing of the kind."""
    known = common.metadata.filter_metadata if common is not None and common.metadata is not None else {}
    return known[name].to_dict().get(key) if name in known else None


def wilson(count: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's score (1927): right for shares near 0 and 1 too."""
    share, square = count / total, _Z95**2
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = _Z95 * math.sqrt(share * (1 - share) / total + square / (4 * total**2)) / (1 + square / total)
    return max(0.0, middle - half) if count else 0.0, min(1.0, middle + half) if count < total else 1.0
