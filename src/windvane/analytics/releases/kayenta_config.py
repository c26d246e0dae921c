"""Kayenta's canary-config JSON: metrics of two scopes, classified and scored as NetflixACAJudge-v1.0 does.

A metric's query is a template with `${scope}`, `${location}`, `${project}` and extended parameters: PromQL after the
word `PromQL:`, otherwise filters of `avg(METRIC{FILTERS}) by (FIELDS)`. Groups are means of passes, weighted to 100;
a weight that is not given is an equal part of what is left. Metrics without data leave their group, unless they must
have them; half or more without data, or a critical metric that fails, is 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from windvane.analytics.releases.kayenta import TOLERANCE, Direction, shift
from windvane.kit.errors import BadInputError
from windvane.kit.strict_yaml import Document
from windvane.kit.strict_yaml import Mapping as Fields
from windvane.kit.yaml_nodes import FileError

Floats = NDArray[np.float64]
Label = Literal["Pass", "High", "Low", "Nodata", "NodataFailMetric"]
Ask = Callable[[str], Floats]
"""A range query's one series, NaN where it has no value."""
JUDGE = "NetflixACAJudge-v1.0"
_PLACE = re.compile(r"\$\\?\{(.*?)\}")
_PROMQL = "PromQL:"
_FACTOR = 3.0
"""How many interquartile ranges beyond the quartiles a value is an outlier."""


@dataclass(frozen=True, slots=True)
class Effect:
    """How large a shift must be to fail, and to fail the whole: ratios of means, or (`cles`) chances."""

    cles: bool
    increase: float
    decrease: float
    critical_increase: float
    critical_decrease: float


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a config; `template` is its query, with places."""

    name: str
    groups: tuple[str, ...]
    template: str
    direction: Direction
    replace_nan: bool
    drop_outliers: bool
    critical: bool
    must_have_data: bool
    effect: Effect


@dataclass(frozen=True, slots=True)
class Config:
    """A canary config: metrics, weights of groups, and the scores from which it passes or is marginal."""

    name: str
    metrics: tuple[Metric, ...]
    weights: Mapping[str, float]
    good: float
    marginal: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """A metric's label, whether it fails the whole, and its effect (None: not to be had)."""

    name: str
    groups: tuple[str, ...]
    label: Label
    critical: bool
    effect: float | None
    queries: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Scored:
    """The score of a config, the word for it, and what it is made of."""

    score: float
    label: Literal["Pass", "Marginal", "Fail"]
    reason: str
    groups: Mapping[str, float]
    metrics: tuple[Outcome, ...]


def read(text: str, file: str) -> Config:
    """A config; `FileError` with every problem. What the judge does not look at is not checked."""
    document = Document(file)
    root = document.root(re.sub(r"(?m)^[ \t]+", lambda indent: indent[0].expandtabs(2), text))  # YAML knows no tabs
    if root is None:
        raise FileError(document.problems)
    judge = root.mapping("judge")
    if (name := judge.text("name", JUDGE)) != JUDGE:
        judge.problem("name", f"{name!r} is not there ({JUDGE} is)")
    templates = root.text_map("templates")
    metrics = tuple(_metric(one, templates) for one in root.mappings("metrics"))
    classifier = root.mapping("classifier")
    weights = classifier.mapping("groupWeights")
    named = {group: weights.number(group, 0.0) for group in _names(weights)}
    limits = classifier.mapping("scoreThresholds")
    good, marginal = limits.number("pass", 95.0), limits.number("marginal", 75.0)
    if not metrics:
        root.problem("metrics", "there are none")
    if sum(named.values()) > 100 + 1e-9:
        classifier.problem("", f"groupWeights: add up to {sum(named.values()):g}, beyond 100")
    if document.problems:
        raise FileError(sorted(document.problems, key=lambda one: (one.line, one.column)))
    return Config(root.text("name", file), metrics, named, good, marginal)


def _names(mapping: Fields) -> list[str]:
    return [key.value for key, _ in mapping.node.value] if mapping.node is not None else []


def _metric(given: Fields, templates: Mapping[str, str]) -> Metric:
    name, query = given.text("name"), given.mapping("query")
    canary = given.mapping("analysisConfigurations").mapping("canary")
    node, direction = canary.field_node("direction"), canary.text("direction", "either")
    known: Direction = next((one for one in get_args(Direction) if one == direction), "either")
    if known != direction:
        given.document.problem(
            node, canary.path_of("direction"), f"{direction!r} is none of increase, decrease, either"
        )
    if not name:
        given.document.problem(given.node, given.path_of("name"), "is missing")
    outliers = canary.mapping("outliers").text("strategy", "keep")
    return Metric(
        name, tuple(given.texts("groups")), _template(query, templates), known,
        canary.text("nanStrategy", "remove") == "replace", outliers == "remove", canary.boolean("critical", False),
        canary.boolean("mustHaveData", False), _effect(canary.mapping("effectSize")),
    )  # fmt: skip


def _effect(given: Fields) -> Effect:
    cles = given.text("measure", "meanRatio") == "cles"
    usual = 0.5 if cles else 1.0
    increase, decrease = given.number("allowedIncrease", usual), given.number("allowedDecrease", usual)
    return Effect(
        cles, increase, decrease, given.number("criticalIncrease", usual), given.number("criticalDecrease", usual)
    )


def _template(query: Fields, templates: Mapping[str, str]) -> str:
    """The query with its places still in it; filters stand in front of the label bindings."""
    if (kind := query.text("type", "prometheus")) != "prometheus":
        query.problem("", f"type: {kind!r} cannot be asked, prometheus can")
    filters, named = query.text("customInlineTemplate"), query.text("customFilterTemplate")
    if not filters and named and named not in templates:
        query.problem("", f"customFilterTemplate: there is no template {named!r}")
    filters = filters or templates.get(named, "")
    if not filters:
        query.problem("", "needs customInlineTemplate or customFilterTemplate: resource types of clouds are not there")
    if filters.startswith(_PROMQL):
        return filters.removeprefix(_PROMQL).strip()
    metric, bindings, fields = query.text("metricName"), query.texts("labelBindings"), query.texts("groupByFields")
    if not metric:
        query.problem("", "metricName: is missing")
    by = f" by ({','.join(fields)})" if fields else ""
    return f"avg({metric}{{{','.join([filters, *bindings])}}}){by}"


def filled(template: str, places: Mapping[str, str]) -> str:
    """A query with `${…}` in their places; `BadInputError` for what has no value."""

    def value(match: re.Match[str]) -> str:
        if match[1].strip() not in places:
            raise BadInputError(f"{match[0]} has no value (there are {', '.join(sorted(places))})")
        return places[match[1].strip()]

    return _PLACE.sub(value, template)


def scored(config: Config, control: Mapping[str, str], experiment: Mapping[str, str], ask: Ask) -> Scored:
    """The score of two scopes, given by what stands for each place in their queries."""
    outcomes = []
    for metric in config.metrics:
        queries = filled(metric.template, control), filled(metric.template, experiment)
        label, critical, effect = classified(metric, *(ask(query) for query in queries))
        outcomes.append(Outcome(metric.name, metric.groups, label, critical, effect, queries))
    return _score(config, outcomes)


def classified(metric: Metric, control: Floats, experiment: Floats) -> tuple[Label, bool, float | None]:
    """A metric's label, whether it fails the whole, and its effect."""
    control, experiment = (_cleaned(metric, values) for values in (control, experiment))
    if not len(control) or not len(experiment):
        return (*_without_data(metric), None)
    effect = _size(metric.effect, control, experiment)
    label = _shifted(metric, control, experiment, effect)
    size = metric.effect
    beyond = label == "High" and (effect is None or effect >= size.critical_increase)
    beyond = beyond or (label == "Low" and (effect is None or effect <= size.critical_decrease))
    return label, metric.critical and beyond, effect


def _without_data(metric: Metric) -> tuple[Label, bool]:
    if metric.replace_nan:
        return "Pass", False
    if not metric.must_have_data:
        return "Nodata", False
    return ("Nodata", True) if metric.critical else ("NodataFailMetric", False)


def _shifted(metric: Metric, control: Floats, experiment: Floats, effect: float | None) -> Label:
    if np.array_equal(np.sort(control), np.sort(experiment)) or len(np.unique([*control, *experiment])) == 1:
        return "Pass"
    if len(np.unique(control)) == len(np.unique(experiment)) == 1:
        rng = np.random.default_rng(0)  # two constants: a little noise, so that there is something to rank
        control = control + rng.normal(0, 1e-5 * abs(control[0]) or 1e-5, len(control))
        experiment = experiment + rng.normal(0, 1e-5 * abs(experiment[0]) or 1e-5, len(experiment))
    found, size = shift(control, experiment), metric.effect
    limit = TOLERANCE * abs(found.estimate)
    if metric.direction != "decrease" and found.low > limit and (effect is None or effect >= size.increase):
        return "High"
    if metric.direction != "increase" and found.high < -limit and (effect is None or effect <= size.decrease):
        return "Low"
    return "Pass"


def _cleaned(metric: Metric, values: Floats) -> Floats:
    known = np.nan_to_num(values, nan=0.0) if metric.replace_nan else values[np.isfinite(values)]
    if not metric.drop_outliers or not len(known):
        return known
    first, third = np.quantile(known, [0.25, 0.75])
    low, high = first - _FACTOR * (third - first), third + _FACTOR * (third - first)
    widest = np.quantile(known, [0.01, 0.99])
    kept: Floats = known[(known >= min(low, widest[0])) & (known <= max(high, widest[1]))]
    return kept


def _size(effect: Effect, control: Floats, experiment: Floats) -> float | None:
    if effect.cles:
        below = np.searchsorted(np.sort(control), experiment, "left")
        upto = np.searchsorted(np.sort(control), experiment, "right")
        return float((below + upto).mean() / (2 * len(control)))
    mean = float(control.mean())
    return float(experiment.mean()) / mean if mean else None


def _score(config: Config, outcomes: Sequence[Outcome]) -> Scored:
    groups = {
        name: _group([one for one in outcomes if name in one.groups])
        for name in sorted({name for one in outcomes for name in one.groups})
    }
    unnamed = [name for name in groups if name not in config.weights]
    rest = max(0.0, 100 - sum(config.weights.values())) / len(unnamed) if unnamed else 0.0
    score = sum(value * config.weights.get(name, rest) / 100 for name, value in groups.items())
    reason = ""
    critical = [one.name for one in outcomes if one.critical]
    empty = sum(one.label == "Nodata" for one in outcomes)
    if 2 * empty >= len(outcomes):
        score, reason = 0.0, f"{empty} of {len(outcomes)} metrics have no data"
    if critical:
        score, reason = 0.0, f"critical: {', '.join(critical)}"
    label: Literal["Pass", "Marginal", "Fail"] = (
        "Pass" if score >= config.good else "Marginal" if score >= config.marginal else "Fail"
    )
    return Scored(score, label, reason, groups, tuple(outcomes))


def _group(outcomes: Sequence[Outcome]) -> float:
    known = [one for one in outcomes if one.label != "Nodata"]
    return 100 * sum(one.label == "Pass" for one in known) / len(known) if known else 100.0
