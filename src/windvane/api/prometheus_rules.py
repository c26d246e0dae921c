"""`/api/v1/rules`, `/api/v1/alerts` and `/api/v1/alertmanagers`: Prometheus 3's JSON of the rule groups."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import orjson
from starlette.routing import BaseRoute

from windvane.alerting.gofloat import scientific
from windvane.alerting.gotime import rfc3339
from windvane.alerting.group import Group
from windvane.alerting.manager import RuleManager
from windvane.alerting.rules import NS, Alert, AlertingRule, Rule
from windvane.api.prometheus_http import Params, api_route, success
from windvane.promql import regex
from windvane.promql.errors import QueryError
from windvane.promql.quoting import quote
from windvane.promql.syntax import Matcher, MatchOp, Selector

_TYPES = {"": (True, True), "alert": (True, False), "record": (False, True)}
_TRUE, _FALSE = {"1", "t", "T", "TRUE", "true", "True"}, {"0", "f", "F", "FALSE", "false", "False"}


def routes(
    manager: RuleManager,
    alertmanagers: Callable[[], Sequence[str]] = list,
    more: Callable[[], Sequence[Alert]] = list,
) -> list[BaseRoute]:
    """The routes on one manager; `alertmanagers` yields the addresses that alerts are posted to, `more` the alerts
    that no rule makes."""
    face = _Face(manager, alertmanagers, more)
    return [
        api_route("rules", face.rules),
        api_route("alerts", face.alerts),
        api_route("alertmanagers", face.alertmanagers),
    ]


class _Face:
    def __init__(
        self, manager: RuleManager, alertmanagers: Callable[[], Sequence[str]], more: Callable[[], Sequence[Alert]]
    ) -> None:
        self._manager = manager
        self._alertmanagers = alertmanagers
        self._more = more

    def rules(self, params: Params) -> bytes:
        """`/rules`: the groups with rules that the filters let through, a page of them."""
        wanted = _Wanted(params)
        limit, token = _page(params)
        groups = self._manager.groups()
        if token:
            groups = _from_token(groups, token)
        shown: list[dict[str, object]] = []
        following = ""
        for group in groups:
            if not wanted.group(group):
                continue
            if limit and len(shown) == limit:
                following = _token(group)
                break
            rules = [wanted.shown(rule) for rule in group.rules if wanted.rule(rule)]
            if rules:
                shown.append(_group_json(group, rules))
        data: dict[str, object] = {"groups": shown}
        if following:
            data["groupNextToken"] = following
        return success(orjson.dumps(data))

    def alerts(self, _: Params) -> bytes:
        """`/alerts`: every pending and firing alert, those of rules first."""
        found = [*self._manager.alerts(), *self._more()]
        return success(orjson.dumps({"alerts": [_alert_json(alert) for alert in found]}))

    def alertmanagers(self, _: Params) -> bytes:
        """`/alertmanagers`: where alerts go."""
        active = [{"url": url} for url in self._alertmanagers()]
        return success(orjson.dumps({"activeAlertmanagers": active, "droppedAlertmanagers": []}))


class _Wanted:
    """The filters of a request."""

    def __init__(self, params: Params) -> None:
        kind = params.text("type").lower()
        if kind not in _TYPES:
            raise QueryError(f'invalid parameter "type": not supported value {quote(kind)}')
        self._alerting, self._recording = _TYPES[kind]
        self._names = set(params.all("rule_name[]"))
        self._groups = set(params.all("rule_group[]"))
        self._files = set(params.all("file[]"))
        self._selectors = params.selectors()
        self._without_alerts = _boolean("exclude_alerts", params.text("exclude_alerts"))

    def group(self, group: Group) -> bool:
        named = not self._groups or group.spec.name in self._groups
        return named and (not self._files or group.spec.file in self._files)

    def rule(self, rule: Rule) -> bool:
        if not (self._alerting if rule.spec.alerting else self._recording):
            return False
        if self._names and rule.spec.name not in self._names:
            return False
        return not self._selectors or any(_matches(one, rule.spec.labels) for one in self._selectors)

    def shown(self, rule: Rule) -> dict[str, object]:
        return _rule_json(rule, with_alerts=not self._without_alerts)


def _boolean(name: str, text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE or not text:
        return False
    reason = f"error converting {name}: strconv.ParseBool: parsing {quote(text)}: invalid syntax"
    raise QueryError(f"invalid parameter {quote(name)}: {reason}")


def _matches(selector: Selector, labels: dict[str, str]) -> bool:
    return all(_fits(matcher, labels.get(matcher.name, "")) for matcher in selector.matchers)


def _fits(matcher: Matcher, value: str) -> bool:
    match matcher.op:
        case MatchOp.EQUAL:
            return value == matcher.value
        case MatchOp.NOT_EQUAL:
            return value != matcher.value
        case MatchOp.REGEX:
            return regex.anchored(matcher.value).fullmatch(value) is not None
        case MatchOp.NOT_REGEX:
            return regex.anchored(matcher.value).fullmatch(value) is None


def _page(params: Params) -> tuple[int, str]:
    """How many groups at most (0: all), and the token of the first."""
    text, token = params.text("group_limit"), params.text("group_next_token")
    if not text:
        if token:
            raise QueryError(
                'invalid parameter "group_limit": group_limit needs to be present in order to paginate over the groups'
            )
        return 0, ""
    try:
        limit = int(text)
    except ValueError:
        reason = f"group_limit needs to be a valid number: strconv.ParseInt: parsing {quote(text)}: invalid syntax"
        raise QueryError(f'invalid parameter "group_limit": {reason}') from None
    if limit <= 0:
        raise QueryError('invalid parameter "group_limit": group_limit needs to be greater than 0')
    return limit, token


def _token(group: Group) -> str:
    digest = hashlib.sha1(f"{group.spec.file};{group.spec.name}".encode(errors="replace"), usedforsecurity=False)
    return digest.hexdigest()


def _from_token(groups: list[Group], token: str) -> list[Group]:
    for place, group in enumerate(groups):
        if _token(group) == token:
            return groups[place:]
    raise QueryError(
        f"invalid parameter \"group_next_token\": invalid group_next_token '{token}'. were rule groups changed?"
    )


def _group_json(group: Group, rules: list[dict[str, object]]) -> dict[str, object]:
    return {
        "name": group.spec.name,
        "file": group.spec.file,
        "rules": rules,
        "interval": _seconds(group.interval / NS),
        "limit": group.spec.limit,
        "evaluationTime": _seconds(group.evaluation_seconds),
        "lastEvaluation": rfc3339(group.last_evaluation),
    }


def _rule_json(rule: Rule, *, with_alerts: bool) -> dict[str, object]:
    spec = rule.spec
    if isinstance(rule, AlertingRule):
        head: dict[str, object] = {
            "state": rule.state.value,
            "name": spec.name,
            "query": spec.query,
            "duration": _seconds(spec.hold),
            "keepFiringFor": _seconds(spec.keep_firing_for),
            "labels": _sorted(spec.labels),
            "annotations": _sorted(spec.annotations),
            "alerts": [_alert_json(alert) for alert in rule.active()] if with_alerts else None,
        }
    else:
        head = {"name": spec.name, "query": spec.query}
        if spec.labels:
            head["labels"] = _sorted(spec.labels)
    head["health"] = rule.health
    if rule.last_error:
        head["lastError"] = rule.last_error
    head["evaluationTime"] = _seconds(rule.evaluation_seconds)
    head["lastEvaluation"] = rfc3339(rule.last_evaluation)
    head["type"] = "alerting" if spec.alerting else "recording"
    return head


def _alert_json(alert: Alert) -> dict[str, object]:
    shown: dict[str, object] = {
        "labels": _sorted(alert.labels),
        "annotations": _sorted(alert.annotations),
        "state": alert.state.value,
        "activeAt": rfc3339(alert.active_at),
    }
    if alert.keep_firing_since:
        shown["keepFiringSince"] = rfc3339(alert.keep_firing_since)
    shown["value"] = scientific(alert.value)
    return shown


def _sorted(labels: dict[str, str]) -> dict[str, str]:
    return {name: labels[name] for name in sorted(labels)}


def _seconds(value: float) -> float | int:
    """A number as JSON in Go has it: whole ones without a point."""
    return int(value) if value == int(value) else value
