"""Requests made from configurations where no traffic is recorded: one for each match of their routes, one for the
rest of every host, and those that rules of authorization speak of, from whom they speak of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from windvane.local.diff.patterns import example
from windvane.local.diff.recorded import Recorded
from windvane.local.placement import imagined_placement
from windvane.local.trial.asking import CLIENT, Header, whole
from windvane.mesh.models import AuthorizationPolicy
from windvane.mesh.models.security import Condition, Rule, Source
from windvane.mesh.view import MeshService, MeshView, MeshWorkload, ServicePort
from windvane.xds.authorization import guards
from windvane.xds.listeners import HTTP_PROXY
from windvane.xds.proxy import Proxy
from windvane.xds.resources import RDS
from windvane.xds.route_tables import table_hosts
from windvane.xds.snapshot import MeshSettings, Snapshot

Node = Mapping[str, Any]
_MOST_SOURCES, _MOST_FORMS = 8, 6


@dataclass(frozen=True, slots=True)
class _Form:
    """A request but for its host; `authority` where a matcher asks for one."""

    method: str = "GET"
    path: str = "/"
    headers: tuple[Header, ...] = ()
    authority: str = ""


class Derived:
    """The requests, once each, and what none could be made for."""

    def __init__(self) -> None:
        self.requests: Counter[Recorded] = Counter()
        self.notes: dict[str, None] = {}
        self._routes: set[str] = set()
        self._tables: set[bytes] = set()

    def add(self, view: MeshView) -> None:
        """All requests that a configuration speaks of."""
        view = _with_strangers(view)
        snapshot = Snapshot(view, imagined_placement(view), MeshSettings())
        for key in sorted(snapshot.placement.places):
            proxy = snapshot.proxy(key)
            if proxy is not None:
                self._add_routes(proxy, snapshot)
        for service in view.services.values():
            for request in (*_connections(service), *_guarded(service, view, snapshot)):
                self.requests[request] = 1

    def _add_routes(self, proxy: Proxy, snapshot: Snapshot) -> None:
        """Requests for a proxy's route tables; a table that another proxy has as well is not asked again."""
        for table in whole(proxy, snapshot)[RDS]:
            if table.digest in self._tables or (proxy.role == "sidecar" and table.name != HTTP_PROXY):
                continue  # the services' own listeners have the same routes
            self._tables.add(table.digest)
            scheme, _, rest = table.name.partition(".")
            port = int(rest.partition(".")[0]) if proxy.role == "router" else 0
            for host in table_hosts(table):
                if host["name"] not in ("allow_any", "block_all"):
                    protocol = "https" if scheme == "https" else _protocol(snapshot.view, str(host["name"]))
                    self._add_host(proxy, host, port, protocol)

    def _add_host(self, proxy: Proxy, host: Node, port: int, protocol: str) -> None:
        authority = _named(str(host["domains"][0]))
        for route in (*host.get("routes", ()), {"match": {"prefix": "/"}, "route": "whatever is left"}):
            said = f"{authority} {port} {[route.get(part) for part in route if part != 'decorator']}"
            if said in self._routes:
                continue
            self._routes.add(said)
            asked = _matching(route["match"])
            if asked is None:
                self.notes[f"no request could be made for a route of {authority} ({route['match']})"] = None
                continue
            made = _from(proxy.workload, asked, asked.authority or authority, port)
            self.requests[_spoken(made, protocol)] = 1


def _with_strangers(view: MeshView) -> MeshView:
    """A sidecar that no policy and no route knows asks as well."""
    stranger = MeshWorkload(CLIENT, "default", labels={"app": CLIENT}, annotations={}, service_account=CLIENT)
    return replace(view, workloads={stranger.key: stranger, **view.workloads})


def _from(workload: MeshWorkload | None, form: _Form, authority: str, port: int = 0) -> Recorded:
    known = workload is not None and workload.name != CLIENT
    source, namespace = (workload.name, workload.namespace) if workload and known else ("", "")
    return Recorded(form.method, authority, form.path, source, namespace, port=port, headers=form.headers)


def _spoken(request: Recorded, protocol: str) -> Recorded:
    """The request as clients of a port's protocol make it."""
    if protocol == "https":
        return replace(request, tls=True)
    service, _, name = request.path[1:].partition("/")
    if protocol != "grpc" or not service or not name or "/" in name or "?" in name:
        return request
    return replace(request, kind="grpc", method="POST")


def _protocol(view: MeshView, host: str) -> str:
    """The protocol of the service port that a virtual host's name spells; empty for other virtual hosts."""
    hostname, _, number = host.rpartition(":")
    service = view.services.get(hostname)
    return next((port.protocol for port in service.ports if str(port.number) == number), "") if service else ""


def _connections(service: MeshService) -> Iterator[Recorded]:
    """One connection to each port that is neither HTTP nor encrypted by the application."""
    for port in service.ports:
        if not port.is_http and port.protocol not in ("tls", "https") and not service.hostname.startswith("*"):
            yield Recorded("", f"{service.hostname}:{port.number}", "", kind="tcp")


def _named(domain: str) -> str:
    """A host of a domain that may have a wildcard."""
    if domain == "*":
        return "any.example"
    return f"any{domain[1:]}" if domain.startswith("*") else domain


def _matching(match: Node) -> _Form | None:
    """What a route matches; None where no text for it could be found."""
    path, values = _path(match), dict[str, str]()
    wanted = {
        str(each.get("name", "")).lower(): each for each in match.get("headers", ()) if not each.get("invert_match")
    }
    parameters = {str(each.get("name", "")): each for each in match.get("query_parameters", ())}
    for name, each in (*wanted.items(), *((f"?{name}", each) for name, each in parameters.items())):
        value = _value(each.get("string_match"))
        if value is None:
            return None
        values[name] = value
    if path is None:
        return None
    query = "&".join(f"{name[1:]}={value}" for name, value in values.items() if name.startswith("?"))
    headers = tuple(sorted((name, value) for name, value in values.items() if not name.startswith((":", "?"))))
    whole = f"{path}?{query}" if query else path
    return _Form(values.get(":method", "GET"), whole, headers, values.get(":authority", ""))


def _path(match: Node) -> str | None:
    for field, more in (("path", ""), ("prefix", ""), ("path_separated_prefix", "/a")):
        if field in match:
            return f"{match[field]}{more}"
    if "safe_regex" in match:
        found = example(str(match["safe_regex"].get("regex", "")))
        return found if found is None or found.startswith("/") else None
    template = match.get("path_match_policy", {}).get("typed_config", {}).get("path_template")
    return None if template is None else _plain(str(template))


def _value(wanted: Node | None) -> str | None:
    """A text that a matcher takes; presence takes anything."""
    if wanted is None:
        return "1"
    if "safe_regex" in wanted:
        return example(str(wanted["safe_regex"].get("regex", "")))
    return next((str(wanted[field]) for field in ("exact", "prefix", "suffix", "contains") if field in wanted), "1")


def _plain(pattern: str) -> str:
    """A path of Istio's patterns: `*` at an end, `{*}` and `{**}` within."""
    text = pattern.replace("{**}", "a").replace("{*}", "a")
    if text.startswith("*"):
        return f"/a{text[1:]}" if not text[1:].startswith("/") else text[1:]
    return text.replace("*", "a")


def _guarded(service: MeshService, view: MeshView, snapshot: Snapshot) -> Iterator[Recorded]:
    """Requests to a service whose workloads have policies: what each rule speaks of, from all whom any speaks of."""
    proxies = [proxy for key in service.workloads if (proxy := snapshot.proxy(key)) is not None]
    named = {
        (guard.namespace, guard.policy.rpartition("-rule")[0]) for proxy in proxies for guard in guards(proxy, snapshot)
    }
    policies = [
        item for item in view.authorization_policies
        if (item.namespace, f"ns[{item.namespace}]-policy[{item.name}]") in named
    ]  # fmt: skip
    if not policies:
        return
    sources = [None, *_sources(policies, view)][:_MOST_SOURCES]
    for port in service.ports:
        forms = dict.fromkeys(form for item in policies for rule in item.spec.rules or () for form in _forms(rule))
        for source in sources:
            yield from _asking(service, port, source, list(forms))


def _asking(
    service: MeshService, port: ServicePort, source: MeshWorkload | None, forms: Iterable[_Form]
) -> Iterator[Recorded]:
    authority = f"{service.hostname}:{port.number}"
    if port.is_http:
        for form in (_Form(), *forms):
            yield _spoken(_from(source, form, authority), port.protocol)
    elif not service.hostname.startswith("*"):
        yield replace(_from(source, _Form("", ""), authority), kind="tcp")


def _forms(rule: Rule) -> list[_Form]:
    """Methods, paths and headers that a rule speaks of; headers that must not be are sent and left out."""
    of_headers = [each for each in rule.when if each.key.startswith("request.headers[")]
    wanted = tuple((_header(each), _plain_value(each.values[0])) for each in of_headers if each.values)
    unwanted = tuple((_header(each), _plain_value(each.not_values[0])) for each in of_headers if each.not_values)
    found: dict[_Form, None] = {}
    for to in rule.to or (None,):
        operation = to.operation if to is not None else None
        paths = [*operation.paths, *operation.not_paths] if operation else []
        methods = [*operation.methods, *operation.not_methods] if operation else []
        pairs = list(product([m for m in methods if m != "*"] or ["GET"], [_plain(p) for p in paths] or ["/"]))
        for method, path in pairs[:_MOST_FORMS]:
            found[_Form(method, path, wanted)] = None
            if unwanted:
                found[_Form(method, path, (*wanted, *unwanted))] = None
    return list(found)


def _header(condition: Condition) -> str:
    return condition.key[len("request.headers[") : -1].lower()


def _plain_value(pattern: str) -> str:
    """A header's value of Istio's patterns."""
    return pattern.replace("*", "a")


def _sources(policies: Iterable[AuthorizationPolicy], view: MeshView) -> list[MeshWorkload]:
    """Workloads that rules speak of, one for each thing that is said."""
    found: dict[str, MeshWorkload] = {}
    for policy in policies:
        for rule in policy.spec.rules or ():
            for each in rule.from_:
                if each.source is not None:
                    for workload in _meant(each.source, policy.namespace, view):
                        found.setdefault(workload.key, workload)
    return list(found.values())


def _meant(source: Source, own: str, view: MeshView) -> Iterator[MeshWorkload]:
    workloads = sorted(view.workloads.values(), key=lambda each: each.key)
    identities = {
        f"{view.trust_domain}/ns/{each.namespace}/sa/{each.service_account}": each for each in reversed(workloads)
    }
    for principal in (*source.principals, *source.not_principals):
        yield from ([identities[principal]] if principal in identities else [])
    for namespace in (*source.namespaces, *source.not_namespaces):
        yield from [each for each in workloads if each.namespace == namespace][:1]
    for account in (*source.service_accounts, *source.not_service_accounts):
        space, slash, name = account.partition("/")
        space, name = (space, name) if slash else (own, account)
        yield from [each for each in workloads if (each.namespace, each.service_account) == (space, name)][:1]
