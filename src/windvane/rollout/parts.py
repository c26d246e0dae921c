"""The parts of a release's analysis that Windvane's Canary and Flagger's write alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from collections.abc import Mapping as Map
from math import isnan
from typing import Any, get_args
from urllib.parse import urlsplit

from pydantic import ValidationError

from windvane.kit.errors import BadInputError
from windvane.kit.strict_yaml import Mapping
from windvane.mesh.files import FileSource
from windvane.mesh.models import HTTPMatchRequest
from windvane.mesh.models.base import json_name
from windvane.rollout.model import GATES, Affinity, Hook, HookKind, Metric, Plan
from windvane.rollout.queries import Names, Template, builtin, fill

KINDS: tuple[HookKind, ...] = get_args(HookKind)
_USUAL_STEPS = (5, 20, 50)
_COOKIE_FLAGS = (("httpOnly", "HttpOnly"), ("secure", "Secure"), ("partitioned", "Partitioned"))
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def steps(analysis: Mapping, usual: tuple[int, ...] = _USUAL_STEPS, most: int = 50) -> tuple[int, ...]:
    """`stepWeights`, or `stepWeight` and `maxWeight`: rising percentages."""
    texts, node = analysis.texts("stepWeights"), analysis.field_node("stepWeights")
    each, most = analysis.integer("stepWeight", 0), min(analysis.integer("maxWeight", most), 99)
    try:
        found = [int(text) for text in texts] or (list(range(each, most + 1, each)) if each > 0 else list(usual))
    except ValueError:
        found = []
    if not found or sorted(set(found)) != found or not 0 < found[0] <= found[-1] < 100:
        analysis.document.problem(node, analysis.path_of("stepWeights"), "must be rising percentages from 1 to 99")
    if texts and each:
        analysis.document.problem(node, analysis.path_of("stepWeight"), "is of no use beside stepWeights")
    return tuple(found)


def whole(mapping: Mapping, name: str, default: int, least: int, most: int) -> int:
    """A whole number within bounds."""
    node = mapping.field_node(name)
    value = mapping.integer(name, default)
    if not least <= value <= most:
        mapping.document.problem(node, mapping.path_of(name), f"must lie between {least} and {most}, not {value}")
        return default
    return value


def mirrored(analysis: Mapping) -> int:
    """`mirror` and `mirrorWeight`: percent of requests copied, 0 for none."""
    wanted = analysis.boolean("mirror", False)
    share = whole(analysis, "mirrorWeight", 100, 0, 100) or 100  # 0 is "not given" to Flagger
    return share if wanted else 0


def matches(analysis: Mapping) -> tuple[str, ...]:
    """`match`: which requests the canary gets; `cookies` beside what an HTTPMatchRequest has."""
    node, given = analysis.field_node("match"), analysis.plain("match")
    path = analysis.path_of("match")
    if given is None:
        return ()
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        analysis.document.problem(node, path, "must be a list of mappings")
        return ()
    found = []
    for place, one in enumerate(given):
        try:
            found.append(json.dumps(_match(one)))
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"])
                message = "unknown field" if detail["type"] == "extra_forbidden" else detail["msg"]
                analysis.document.problem(node, f"{path}[{place}]{where}", message)
        except BadInputError as error:
            analysis.document.problem(node, f"{path}[{place}]", error.message)
    return tuple(found)


def _match(given: dict[str, Any]) -> dict[str, Any]:
    rest = {json_name(str(name)): value for name, value in given.items() if name != "cookies"}
    cookies = given.get("cookies", {})
    if not isinstance(cookies, dict):
        raise BadInputError("cookies: must be a mapping of names to matches")
    headers = rest.get("headers") or {}
    if cookies and (len(cookies) > 1 or any(str(name).lower() == "cookie" for name in headers)):
        raise BadInputError("one cookie can be asked for at a time: they share one header")
    if cookies:
        name, value = next(iter(cookies.items()))
        rest["headers"] = {**headers, "cookie": {"regex": cookie_pattern(str(name), _cookie_value(value))}}
    HTTPMatchRequest.model_validate(rest)
    if not any(rest.values()):
        raise BadInputError("matches everything: name headers, cookies, sourceLabels or others")
    if (wrong := _refusal(rest)) is not None:
        raise BadInputError(wrong)
    return rest


def _refusal(match: dict[str, Any]) -> str | None:
    """Why a VirtualService with this match would be refused, such as for a pattern that is none."""
    route = {"match": [match], "route": [{"destination": {"host": "any"}}]}
    metadata = {"name": "any", "namespace": "any"}
    value = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": metadata,
             "spec": {"hosts": ["any"], "http": [route]}}  # fmt: skip
    found = FileSource([]).load_texts({"match": json.dumps(value)}).findings
    return next((one.message for one in found if one.refuses), None)


def _cookie_value(value: Any) -> str:
    """The pattern of a cookie's value: `{exact: …}`, `{prefix: …}`, `{regex: …}` or plain text."""
    if isinstance(value, str):
        return literal(value)
    if isinstance(value, dict) and len(value) == 1:
        ((how, text),) = value.items()
        if isinstance(text, str) and how in ("exact", "prefix", "regex"):
            return {"exact": literal(text), "prefix": f"{literal(text)}[^;]*", "regex": f"(?:{text})"}[how]
    raise BadInputError(
        f"cookies: {value!r} is neither text (quoted where YAML reads it otherwise) nor one of exact, prefix, regex"
    )


def cookie_pattern(name: str, value: str) -> str:
    """An RE2 pattern of a Cookie header that has a cookie with a value of this pattern."""
    return rf"(.*;\s*)?{literal(name)}={value}(;.*)?"


def literal(text: str) -> str:
    """Text as a pattern of RE2 that matches it alone."""
    return "".join(f"\\{char}" if char in r".+*?()[]{}|^$\\" else char for char in text)


def affinity(analysis: Mapping) -> Affinity | None:
    """`sessionAffinity`."""
    if not analysis.has("sessionAffinity"):
        return None
    given = analysis.mapping("sessionAffinity")
    name, primary = given.text("cookieName"), given.text("primaryCookieName")
    for field, value in (("cookieName", name), ("primaryCookieName", primary)):
        if not value and field == "cookieName":
            given.problem(field, "is missing")
        elif value and not set(value) <= _TOKEN:
            given.problem(field, f"{value!r} is no name of a cookie")
    if name and name == primary:
        given.problem("primaryCookieName", "is the canary's cookie")
    age = whole(given, "maxAge", 86_400, 0, 2**31 - 1) or 86_400
    attributes = f"; Path={given.text('path', '/')}"
    for field, word in (("domain", "Domain"), ("sameSite", "SameSite")):
        if value := given.text(field):
            attributes += f"; {word}={value}"
    for field, word in _COOKIE_FLAGS:
        if given.boolean(field, False):
            attributes += f"; {word}"
    given.done()
    return Affinity(name, age, primary, attributes)


def hooks(analysis: Mapping, *, gates_without_url: bool) -> tuple[Hook, ...]:
    """`webhooks`."""
    return tuple(_hook(one, gates_without_url) for one in analysis.mappings("webhooks"))


def _hook(given: Mapping, gates_without_url: bool) -> Hook:
    node, kind = given.field_node("type"), given.text("type", "rollout") or "rollout"
    found: HookKind = next((one for one in KINDS if one == kind), "rollout")
    if found != kind:
        given.document.problem(node, given.path_of("type"), f"{kind!r} is none of {', '.join(KINDS)}")
    name, url_node, url = given.text("name"), given.field_node("url"), given.text("url")
    if not name:
        given.document.problem(given.node, given.path_of("name"), "is missing")
    if not url and not (gates_without_url and found in GATES):
        more = " (only gates that a person opens have none)" if gates_without_url else ""
        given.document.problem(given.node, given.path_of("url"), f"is missing{more}")
    elif url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname):
        given.document.problem(url_node, given.path_of("url"), f"{url!r} is no http or https address")
    timeout = given.duration("timeout", 5.0 if found == "event" else 10.0)
    if timeout <= 0:
        given.problem("timeout", "must be longer than nothing")
    retries = whole(given, "retries", 0, 0, 10)
    metadata, insecure = given.text_map("metadata"), given.boolean("disableTLS", False)
    given.skip("muteAlert")
    given.done()
    return Hook(found, name, url, timeout, retries, metadata, insecure)


Templates = Map[tuple[str, str], Template]
"""Metric templates by namespace and name."""


def metrics(analysis: Mapping, names: Names, templates: Templates) -> tuple[Metric, ...]:
    """`metrics`: built in, by a template, or with a query of their own."""
    return tuple(found for one in analysis.mappings("metrics") if (found := _metric(one, names, templates)) is not None)


def _metric(given: Mapping, names: Names, templates: Templates) -> Metric | None:
    name = given.text("name")
    window = given.text("interval", "1m") or "1m"
    old = given.number("threshold", float("nan"))
    limits = given.mapping("thresholdRange")
    minimum, maximum = (limits.number(end, float("nan")) for end in ("min", "max"))
    limits.done()
    reference, variables = given.mapping("templateRef"), given.text_map("templateVariables")
    wanted = (reference.text("namespace", names.namespace) or names.namespace, reference.text("name"))
    reference.skip("apiVersion", "kind")
    reference.done()
    node, own = given.field_node("query"), given.text("query")
    given.done()
    if not name:
        given.document.problem(given.node, given.path_of("name"), "is missing")
    if isnan(minimum) and isnan(maximum):  # an older field: the least rate of success, otherwise the most
        minimum, maximum = (old, maximum) if name == "request-success-rate" else (minimum, old)
    if isnan(minimum) and isnan(maximum):
        given.document.problem(given.node, given.path_of("thresholdRange"), "needs min, max or both")
    if minimum > maximum:
        given.document.problem(given.node, given.path_of("thresholdRange"), "min is above max: no value lies between")
    query = _query(given, name, own, wanted, templates)
    if query is None:
        return None
    try:
        filled = fill(query, names.with_interval(window), variables)
    except BadInputError as error:
        given.document.problem(node, given.path_of("query"), error.message)
        return None
    return Metric(name, filled, _given(minimum), _given(maximum))


def _query(given: Mapping, name: str, own: str, wanted: tuple[str, str], templates: Templates) -> str | None:
    if own:
        return own
    if wanted[1]:
        if wanted in templates:
            return templates[wanted].query
        given.document.problem(
            given.node, given.path_of("templateRef"), f"there is no MetricTemplate {wanted[0]}/{wanted[1]} in the files"
        )
        return None
    query = builtin(name)
    if query is None:
        given.document.problem(
            given.node, given.path_of("query"),
            f"is missing: {name!r} is not built in (request-success-rate and request-duration are)",
        )  # fmt: skip
    return query


def _given(value: float) -> float | None:
    return None if isnan(value) else value


def fitting(analysis: Mapping, plan: Plan) -> None:
    """Parts of an analysis that do not go together become problems."""
    for field, message in _misfits(plan):
        analysis.document.problem(analysis.node, analysis.path_of(field), message)


def _misfits(plan: Plan) -> Iterator[tuple[str, str]]:
    if plan.matches and not plan.iterations:
        yield "match", "needs iterations: how many looks the canary gets what matches"
    if plan.matches and plan.mirror:
        yield "mirror", "is of no use beside match, which gives the canary requests of its own"
    if plan.affinity and plan.iterations:
        yield "sessionAffinity", "is of no use with iterations, where no weight divides users"
    if plan.units is not None and not plan.iterations:
        yield "units", "needs iterations: they are judged once, when all are over"
    if plan.strategy == "blue-green" and not (plan.mirror or plan.metrics or plan.hooks_of("rollout") or plan.skip):
        yield "iterations", "moves no traffic without match: add mirror, metrics or rollout webhooks to check by"
    if plan.route_kind == "HTTPRoute":
        for place, one in enumerate(plan.match):
            if unknown := sorted(one.keys() - {"headers", "uri", "method", "queryParams"}):
                yield f"match[{place}]", f"{', '.join(unknown)}: an HTTPRoute cannot match by that"
            if "method" in one and "exact" not in one["method"]:
                yield f"match[{place}].method", "an HTTPRoute matches one method exactly"


def read_with(how: Callable[[], Any], mapping: Mapping) -> Any:
    """What `how` gives; its errors become problems of the mapping, and then None."""
    try:
        return how()
    except BadInputError as error:
        mapping.problem("", error.message)
    return None
