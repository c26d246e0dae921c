"""Which rule of which AuthorizationPolicy decided on a request, as proxies tell it, and which rules never did."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from windvane.local.trial.sending import Followed, Told
from windvane.mesh.view import MeshView
from windvane.xds.external_authorization import NOTE

_RULE = re.compile(r"ns\[(.*?)\]-policy\[(.*?)\]-rule\[(\d+)\]")
_ASKING = re.compile(r"istio-ext-authz-(.*?)-ns\[")
_CUSTOM = f"{NOTE}shadow_effective_policy_id"
_AUTHORIZER = {"ext_authz_denied": "which denied", "ext_authz_error": "which did not answer"}
"""Envoy's words for what an external authorizer made of a request."""
_FILTERS = ("envoy.filters.http.rbac", "envoy.filters.network.rbac")
_ENFORCED = "enforced_effective_policy_id"
_EFFECTIVE = "effective_policy_id"
_NONE_MATCHED = "rbac_access_denied_matched_policy[none]"


def described(text: str) -> str:
    """`AuthorizationPolicy ns/name, rule N` of a text with Envoy's name of a rule; empty for another text."""
    found = _RULE.search(text)
    return f"AuthorizationPolicy {found[1]}/{found[2]}, rule {found[3]}" if found else ""


def refused_by(details: str) -> str:
    """Who refused, of `rbac_access_denied_matched_policy[ns[shop]-policy[deny-all]-rule[0]]` and the like."""
    return "no rule of an ALLOW policy matched" if details.startswith(_NONE_MATCHED) else described(details)


def refused(each: Followed) -> str:
    """Who refused a request, and whom an external authorizer was asked for; empty where nobody did."""
    served = each.server.details if each.server else ""
    side = each.server if served not in ("", "via_upstream") else each.client
    if each.details in _AUTHORIZER:
        return _asked(_values(side).get(_CUSTOM, "") if side else "", _AUTHORIZER[each.details])
    return _asked(each.details, "which cannot be asked") or refused_by(each.details)


def _asked(text: str, what: str) -> str:
    """The policy of a rule that asks an external authorizer, and what became of that."""
    found = _ASKING.search(text)
    return f"{described(text)}, external authorizer {found[1]}, {what}" if found else ""


def is_audited(each: Followed) -> bool:
    """Whether a policy with action AUDIT matched a request."""
    for side in (each.server, each.client):
        metadata = side.common.metadata if side else None
        noted = metadata.filter_metadata.get("envoy.common") if metadata else None
        if noted is not None and noted.to_dict().get("access_log_hint") is True:
            return True
    return False


def allowed_by(each: Followed) -> str:
    """The ALLOW rule that let a request through; empty where none had to."""
    if refused(each):
        return ""
    told = (described(_values(side).get(_ENFORCED, "")) for side in (each.server, each.client) if side)
    return next((text for text in told if text), described(each.only_rule))


def dry_run(each: Followed) -> tuple[str, ...]:
    """The rules of dry-run policies that matched."""
    return tuple(sorted({text for text in _matched(each, enforced=False, asking=False) if text}))


def hit(each: Followed) -> set[str]:
    """Every rule that matched, of dry-run policies too."""
    decided = (described(each.details), described(each.only_rule))
    return {*_matched(each, enforced=True), *_matched(each, enforced=False), *decided} - {""}


def _matched(each: Followed, *, enforced: bool, asking: bool = True) -> Iterator[str]:
    """Rules that matched; `asking` are those of action CUSTOM, which only note that somebody is to be asked."""
    for side in (each.server, each.client):
        for key, value in _values(side).items() if side else ():
            if key == _CUSTOM and not asking:
                continue
            if key.endswith(_EFFECTIVE) and (key == _ENFORCED) == enforced:
                yield described(value)


def _values(side: Told) -> dict[str, str]:
    metadata = side.common.metadata
    found: dict[str, str] = {}
    for name in _FILTERS if metadata else ():
        fields = metadata.filter_metadata.get(name) if metadata else None
        if fields is not None:
            found |= {key: value for key, value in fields.to_dict().items() if isinstance(value, str)}
    return found


@dataclass(frozen=True, slots=True)
class RuleCoverage:
    """A rule of an AuthorizationPolicy, and how many requests it matched."""

    resource: str
    rule: int
    action: str
    file: str
    line: int
    requests: int


def rule_coverage(view: MeshView, hits: Iterable[str]) -> list[RuleCoverage]:
    """The rules of all AuthorizationPolicies that can decide; `hits` names a rule once for every request."""
    counted = Counter(hits)
    return [
        RuleCoverage(
            item.reference, index, item.spec.action, item.file, item.line, counted[f"{item.reference}, rule {index}"]
        )
        for item in view.authorization_policies
        if item.spec.action != "AUDIT"
        for index in range(len(item.spec.rules or ()))
    ]  # fmt: skip
