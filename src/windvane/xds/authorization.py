"""AuthorizationPolicies as Envoy's RBAC filters: AUDIT first, then DENY and ALLOW, each with one policy a rule.

A rule becomes permissions (what is asked) and principals (who asks), each a choice of conjunctions. On TCP a
field that only HTTP has cannot be seen: an ALLOW rule with one is left out and a DENY rule does without the
field, so that nothing is let through by mistake (Istio's authorization, "Dependency on protocol"). What asks an
external authorizer (CUSTOM) comes before all of them: `xds/external_authorization.py`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal, TypeVar

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.listener.v3 import Filter
from envoy_data_plane.envoy.config.rbac import v3 as rbac
from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher
from envoy_data_plane.envoy.extensions.filters.http.rbac import v3 as http_rbac
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.extensions.filters.network.rbac import v3 as network_rbac
from envoy_data_plane.envoy.extensions.path.match.uri_template.v3 import UriTemplateMatchConfig
from envoy_data_plane.envoy.type.matcher import v3 as matcher

from windvane.mesh.models import Operation, Rule, Source
from windvane.mesh.resolve import authorization_policies_for
from windvane.xds.authentication import JWT_FILTER, PAYLOAD
from windvane.xds.encoding import any_of
from windvane.xds.proxy import Proxy
from windvane.xds.snapshot import Snapshot

M = TypeVar("M")
Action = Literal["CUSTOM", "AUDIT", "DENY", "ALLOW"]
_ACTIONS: dict[Action, rbac.RbacAction] = {
    "CUSTOM": rbac.RbacAction.DENY,
    "AUDIT": rbac.RbacAction.LOG,
    "DENY": rbac.RbacAction.DENY,
    "ALLOW": rbac.RbacAction.ALLOW,
}
HTTP_FILTER, NETWORK_FILTER = "envoy.filters.http.rbac", "envoy.filters.network.rbac"
_BRACKETED = re.compile(r"\[([^\[\]]+)\]")
_TEMPLATE = re.compile(r"\{\*\*?\}")
_SOMETHING = ".+"


@dataclass(frozen=True, slots=True)
class Guard:
    """A rule in force: `policy` is its name in Envoy; no `rule` is a policy that has none, and matches nothing.

    `provider` is whom CUSTOM asks.
    """

    action: Action
    policy: str
    namespace: str
    rule: Rule | None
    dry_run: bool = False
    provider: str = ""


class _HttpOnlyError(Exception):
    """The attribute does not exist on a TCP connection."""


def guards(proxy: Proxy, snapshot: Snapshot) -> tuple[Guard, ...]:
    """What guards a workload, or a gateway."""
    found = []
    for policy in authorization_policies_for(snapshot.view, proxy.workload):
        action, provider = policy.spec.action, policy.spec.provider.name if policy.spec.provider else ""
        if policy.is_dry_run and action in ("CUSTOM", "AUDIT"):  # only of the others a dry run tells anything
            continue
        rules: Sequence[Rule | None] = policy.spec.rules or ((None,) if action == "ALLOW" else ())
        for index, rule in enumerate(rules):
            name = f"ns[{policy.namespace}]-policy[{policy.name}]-rule[{index}]"
            found.append(Guard(action, name, policy.namespace, rule, policy.is_dry_run, provider))
    return tuple(found)


@lru_cache(maxsize=4096)
def http_filters(wanted: tuple[Guard, ...], ports: tuple[tuple[int, int], ...] = ()) -> tuple[HttpFilter, ...]:
    """RBAC filters of requests; `ports` maps the workload's ports to those that are listened on."""
    return tuple(
        HttpFilter(name=HTTP_FILTER, typed_config=any_of(_http(action, chosen, dict(ports))))
        for action, chosen in _by_action(wanted)
    )


@lru_cache(maxsize=4096)
def network_filters(wanted: tuple[Guard, ...], ports: tuple[tuple[int, int], ...] = ()) -> tuple[Filter, ...]:
    """RBAC filters of connections."""
    return tuple(
        Filter(name=NETWORK_FILTER, typed_config=any_of(_network(action, chosen, dict(ports))))
        for action, chosen in _by_action(wanted)
    )


def _by_action(wanted: Sequence[Guard]) -> Iterable[tuple[Action, list[Guard]]]:
    actions: tuple[Action, ...] = ("AUDIT", "DENY", "ALLOW")
    for action in actions:
        chosen = [guard for guard in wanted if guard.action == action]
        if chosen:
            yield action, chosen


def _http(action: Action, chosen: Sequence[Guard], ports: Mapping[int, int]) -> http_rbac.Rbac:
    rules, shadow = (_rules(action, chosen, ports, dry_run=dry_run, tcp=False) for dry_run in (False, True))
    return http_rbac.Rbac(
        rules=rules, shadow_rules=shadow, shadow_rules_stat_prefix=f"istio_dry_run_{action.lower()}_" if shadow else ""
    )


def _network(action: Action, chosen: Sequence[Guard], ports: Mapping[int, int]) -> network_rbac.Rbac:
    rules, shadow = (_rules(action, chosen, ports, dry_run=dry_run, tcp=True) for dry_run in (False, True))
    prefix = f"istio_dry_run_{action.lower()}_" if shadow else ""
    return network_rbac.Rbac(
        rules=rules, shadow_rules=shadow, shadow_rules_stat_prefix=prefix, stat_prefix="tcp."
    )  # fmt: skip


def _rules(
    action: Action, chosen: Sequence[Guard], ports: Mapping[int, int], *, dry_run: bool, tcp: bool
) -> rbac.Rbac | None:
    policies = {}
    relevant = [guard for guard in chosen if guard.dry_run == dry_run]
    for guard in relevant:
        made = policy_of(guard, ports, tcp=tcp)
        if made is not None:
            policies[guard.policy] = made
    return rbac.Rbac(action=_ACTIONS[action], policies=policies) if relevant else None


def policy_of(guard: Guard, ports: Mapping[int, int], *, tcp: bool) -> rbac.Policy | None:
    """A rule as Envoy's policy; None when there is no telling on TCP."""
    return _Maker(guard.namespace, ports, tcp=tcp, strict=guard.action == "ALLOW").policy(guard.rule)


class _Maker:
    """Rules of one namespace to Envoy's policies; `strict` leaves a rule out that cannot be told, others widen it."""

    def __init__(self, namespace: str, ports: Mapping[int, int], *, tcp: bool, strict: bool) -> None:
        self._namespace, self._ports, self._tcp, self._strict = namespace, ports, tcp, strict

    def policy(self, rule: Rule | None) -> rbac.Policy | None:
        """The policy of a rule; None when it must be left out."""
        if rule is None:
            return rbac.Policy(
                permissions=[_not(rbac.Permission(any=True))], principals=[_not_id(rbac.Principal(any=True))]
            )
        try:
            asked, asking = [], []
            for condition in rule.when:
                pair = (condition.values, condition.not_values)
                if condition.key in _PERMISSION_KEYS:
                    asked += self._permissions(self._permission_of(condition.key), *pair)
                else:
                    asking += self._principals(self._principal_of(condition.key), *pair)
            operations = [to.operation or Operation() for to in rule.to] or [Operation()]
            sources = [each.source or Source() for each in rule.from_] or [Source()]
            return rbac.Policy(
                permissions=[_all([*self._operation(each), *asked]) for each in operations],
                principals=[_all_ids([*self._source(each), *asking]) for each in sources],
            )
        except _HttpOnlyError:
            return None

    def _operation(self, operation: Operation) -> list[rbac.Permission]:
        made = []
        for name in ("hosts", "methods", "paths", "ports"):
            values, others = getattr(operation, name), getattr(operation, f"not_{name}")
            made += self._permissions(self._permission_of(name), values, others)
        return made

    def _source(self, source: Source) -> list[rbac.Principal]:
        made = []
        for name in (
            "principals", "request_principals", "namespaces", "service_accounts", "remote_ip_blocks", "ip_blocks"
        ):  # fmt: skip
            values, others = getattr(source, name), getattr(source, f"not_{name}")
            made += self._principals(self._principal_of(name), values, others)
        return made

    def _permissions(
        self, make: Callable[[str], rbac.Permission], values: Sequence[str], others: Sequence[str]
    ) -> list[rbac.Permission]:
        some, none = self._made(make, values), self._made(make, others)
        return [*([_any(some)] if some else []), *([_not(_any(none))] if none else [])]

    def _principals(
        self, make: Callable[[str], rbac.Principal], values: Sequence[str], others: Sequence[str]
    ) -> list[rbac.Principal]:
        some, none = self._made(make, values), self._made(make, others)
        return [*([_any_id(some)] if some else []), *([_not_id(_any_id(none))] if none else [])]

    def _made(self, make: Callable[[str], M], values: Sequence[str]) -> list[M]:
        made = []
        for value in values:
            try:
                made.append(make(value))
            except _HttpOnlyError:
                if self._strict:
                    raise
        return made

    # What is asked

    def _permission_of(self, key: str) -> Callable[[str], rbac.Permission]:
        if key in ("ports", "destination.port"):
            return self._port
        if key == "destination.ip":
            return lambda value: rbac.Permission(destination_ip=_range(value))
        if key == "connection.sni":
            return lambda value: rbac.Permission(requested_server_name=text_matcher(value))
        return self._of_requests({"hosts": _host, "methods": _method, "paths": _path}[key])

    def _of_requests(self, make: Callable[[str], M]) -> Callable[[str], M]:
        def made(value: str) -> M:
            if self._tcp:
                raise _HttpOnlyError
            return make(value)

        return made

    def _port(self, value: str) -> rbac.Permission:
        number = int(value)
        return rbac.Permission(destination_port=self._ports.get(number, number))

    # Who asks

    def _principal_of(self, key: str) -> Callable[[str], rbac.Principal]:
        makers: dict[str, Callable[[str], rbac.Principal]] = {
            "principals": _identity,
            "source.principal": _identity,
            "namespaces": _namespace,
            "source.namespace": _namespace,
            "service_accounts": partial(_service_account, self._namespace),
            "ip_blocks": lambda value: rbac.Principal(direct_remote_ip=_range(value)),
            "source.ip": lambda value: rbac.Principal(direct_remote_ip=_range(value)),
            "remote_ip_blocks": lambda value: rbac.Principal(remote_ip=_range(value)),
            "remote.ip": lambda value: rbac.Principal(remote_ip=_range(value)),
        }
        if key.startswith(_METADATA):
            return partial(_metadata, key)
        return makers.get(key) or self._of_requests(_request_attribute(key))


_METADATA = "experimental.envoy.filters."
_PERMISSION_KEYS = ("destination.ip", "destination.port", "connection.sni")


def _request_attribute(key: str) -> Callable[[str], rbac.Principal]:
    """An attribute of a request or of its token, by its key."""
    if key in ("request_principals", "request.auth.principal"):
        return _token_subject
    if key.startswith("request.headers["):
        return partial(_header, _BRACKETED.findall(key)[0])
    path = {"request.auth.audiences": ["aud"], "request.auth.presenter": ["azp"]}.get(key) or _BRACKETED.findall(key)
    return lambda value: _claim(path, text_matcher(value))


def text_matcher(value: str, *, ignore_case: bool = False) -> matcher.StringMatcher:
    """`*` for anything but nothing, `abc*`, `*abc`, or the value itself."""
    if value == "*":
        return _regex(_SOMETHING)
    if value.startswith("*"):
        return matcher.StringMatcher(suffix=value[1:], ignore_case=ignore_case)
    if value.endswith("*"):
        return matcher.StringMatcher(prefix=value[:-1], ignore_case=ignore_case)
    return matcher.StringMatcher(exact=value, ignore_case=ignore_case)


def _regex(pattern: str) -> matcher.StringMatcher:
    return matcher.StringMatcher(safe_regex=matcher.RegexMatcher(regex=pattern))


def _host(value: str) -> rbac.Permission:
    if value == "*":
        return rbac.Permission(header=HeaderMatcher(name=":authority", present_match=True))
    return rbac.Permission(header=HeaderMatcher(name=":authority", string_match=text_matcher(value, ignore_case=True)))


def _method(value: str) -> rbac.Permission:
    if value == "*":
        return rbac.Permission(header=HeaderMatcher(name=":method", present_match=True))
    return rbac.Permission(header=HeaderMatcher(name=":method", string_match=text_matcher(value)))


def _path(value: str) -> rbac.Permission:
    if _TEMPLATE.search(value):
        # Istio's {*} is one segment and {**} any number of them; Envoy writes these without braces.
        template = value.replace("{**}", "**").replace("{*}", "*")
        config = UriTemplateMatchConfig(path_template=template)
        name = "envoy.path.match.uri_template.uri_template_matcher"
        return rbac.Permission(uri_template=core.TypedExtensionConfig(name=name, typed_config=any_of(config)))
    return rbac.Permission(url_path=matcher.PathMatcher(path=text_matcher(value)))


def _identity(value: str) -> rbac.Principal:
    """A SPIFFE identity without its scheme."""
    if value.startswith("*"):
        name = _regex(_SOMETHING if value == "*" else f"spiffe://.*{re.escape(value[1:])}")
    else:
        name = text_matcher(f"spiffe://{value}")
    return rbac.Principal(authenticated=rbac.PrincipalAuthenticated(principal_name=name))


def _namespace(value: str) -> rbac.Principal:
    pattern = f".*/ns/{re.escape(value).replace(re.escape('*'), '.*')}/.*"
    return rbac.Principal(authenticated=rbac.PrincipalAuthenticated(principal_name=_regex(pattern)))


def _service_account(own: str, value: str) -> rbac.Principal:
    """`account` of the policy's own namespace, or `namespace/account`."""
    namespace, slash, account = value.partition("/")
    namespace, account = (namespace, account) if slash else (own, value)
    pattern = f"spiffe://.+/ns/{re.escape(namespace)}/(.+/|)sa/{re.escape(account)}(/.+)?"
    return rbac.Principal(authenticated=rbac.PrincipalAuthenticated(principal_name=_regex(pattern)))


def _header(name: str, value: str) -> rbac.Principal:
    if value == "*":
        return rbac.Principal(header=HeaderMatcher(name=name, present_match=True))
    return rbac.Principal(header=HeaderMatcher(name=name, string_match=text_matcher(value)))


def _token_subject(value: str) -> rbac.Principal:
    """`issuer/subject`; the last slash divides them, for issuers may be URLs."""
    if value == "*":
        issuer, subject = "*", "*"
    else:
        issuer, slash, subject = value.rpartition("/")
        if not slash:  # one pattern for both, without a slash of its own
            issuer, subject = ("*", value) if value.startswith("*") else (value, "*" if value.endswith("*") else "")
    return _all_ids([_claim(["iss"], text_matcher(issuer)), _claim(["sub"], text_matcher(subject))])


def _claim(path: Sequence[str], wanted: matcher.StringMatcher) -> rbac.Principal:
    """A claim of the checked token that is this text, or a list with it."""
    text = matcher.ValueMatcher(string_match=wanted)
    either = matcher.ValueMatcher(
        or_match=matcher.OrMatcher(
            value_matchers=[text, matcher.ValueMatcher(list_match=matcher.ListMatcher(one_of=text))]
        )
    )
    segments = [matcher.MetadataMatcherPathSegment(key=key) for key in (PAYLOAD, *path)]
    claim = matcher.MetadataMatcher(filter=JWT_FILTER, path=segments, value=either)
    return rbac.Principal(sourced_metadata=rbac.SourcedMetadata(metadata_matcher=claim))


def _metadata(key: str, value: str) -> rbac.Principal:
    """What a filter noted of the request or connection: `experimental.envoy.filters.NAME[KEY]`; `[v]` is a list."""
    name, _, noted = key.removeprefix("experimental.").removesuffix("]").partition("[")
    listed = value.startswith("[") and value.endswith("]")
    wanted = matcher.ValueMatcher(string_match=text_matcher(value[1:-1] if listed else value))
    if listed:
        wanted = matcher.ValueMatcher(list_match=matcher.ListMatcher(one_of=wanted))
    path = [matcher.MetadataMatcherPathSegment(key=noted)]
    found = matcher.MetadataMatcher(filter=name, path=path, value=wanted)
    return rbac.Principal(sourced_metadata=rbac.SourcedMetadata(metadata_matcher=found))


def _range(value: str) -> core.CidrRange:
    network = ipaddress.ip_network(value, strict=False)
    return core.CidrRange(address_prefix=str(network.network_address), prefix_len=network.prefixlen)


def _all(made: list[rbac.Permission]) -> rbac.Permission:
    return rbac.Permission(and_rules=rbac.PermissionSet(rules=made or [rbac.Permission(any=True)]))


def _any(made: list[rbac.Permission]) -> rbac.Permission:
    return rbac.Permission(or_rules=rbac.PermissionSet(rules=made))


def _not(made: rbac.Permission) -> rbac.Permission:
    return rbac.Permission(not_rule=made)


def _all_ids(made: list[rbac.Principal]) -> rbac.Principal:
    return rbac.Principal(and_ids=rbac.PrincipalSet(ids=made or [rbac.Principal(any=True)]))


def _any_id(made: list[rbac.Principal]) -> rbac.Principal:
    return rbac.Principal(or_ids=rbac.PrincipalSet(ids=made))


def _not_id(made: rbac.Principal) -> rbac.Principal:
    return rbac.Principal(not_id=made)
