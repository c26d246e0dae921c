"""Host names as Istio reads them: short names, wildcards, and which of two is the more specific."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


def resolve(host: str, namespace: str, domain: str) -> str:
    """A short name made full in a namespace: `reviews` → `reviews.shop.svc.cluster.local`.

    As in Istio only a name without any dot is short: `reviews.shop` stays what it is.
    """
    return host if not host or "." in host or host.startswith("*") else f"{host}.{namespace}.svc.{domain}"


def matches(pattern: str, host: str) -> bool:
    """Whether two hosts overlap: each may be a name, `*` or `*.suffix`."""
    if pattern.startswith("*") and host.startswith("*"):
        return pattern[1:].endswith(host[1:]) or host[1:].endswith(pattern[1:])
    if pattern.startswith("*"):
        return host.endswith(pattern[1:])
    return pattern.endswith(host[1:]) if host.startswith("*") else pattern == host


def covers(pattern: str, host: str) -> bool:
    """Whether every name that `host` stands for is also one of `pattern`."""
    return (
        host[1:].endswith(pattern[1:])
        if pattern.startswith("*") and host.startswith("*")
        else (host.endswith(pattern[1:]) if pattern.startswith("*") else pattern == host)
    )


def most_specific(patterns: Iterable[str], host: str) -> str | None:
    """The pattern that says most about a host: the name itself before wildcards, longer before shorter."""
    fitting = [pattern for pattern in patterns if covers(pattern, host)]
    return min(fitting, key=lambda pattern: (pattern.startswith("*"), -len(pattern))) if fitting else None


def short_names(hostname: str, namespace: str) -> list[str]:
    """Names by which a client in `namespace` may call a service of the cluster, the full one first.

    Services of another namespace keep at least `name.namespace`; hosts outside the cluster have one name.
    """
    name, _, rest = hostname.partition(".")
    own, svc, _ = rest.partition(".svc.")
    if not svc or "." in own:
        return [hostname]
    names = [hostname, f"{name}.{own}.svc", f"{name}.{own}"]
    return [*names, name] if own == namespace else names


def is_visible(export_to: Iterable[str], owner: str, namespace: str) -> bool:
    """Whether something of namespace `owner` with this `exportTo` is seen from `namespace`."""
    scopes = tuple(export_to) or ("*",)
    return "*" in scopes or namespace in scopes or ("." in scopes and owner == namespace)


class HostIndex(Generic[T]):
    """Things by the hosts they are for, to be found by a host name without looking at all of them."""

    def __init__(self, items: Iterable[tuple[str, T]]) -> None:
        self._named: dict[str, list[T]] = {}
        self._wildcards: dict[str, list[T]] = {}
        for host, item in items:
            (self._wildcards if host.startswith("*") else self._named).setdefault(host, []).append(item)

    def find(self, host: str) -> Iterator[list[T]]:
        """What is for a host, the most specific first; things for the same host stay in their order."""
        if host in self._named:
            yield self._named[host]
        for pattern in sorted((name for name in self._wildcards if covers(name, host)), key=len, reverse=True):
            yield self._wildcards[pattern]
