"""info(): series get the labels of the info metrics that share their `instance` and `job` (experimental).

Which info series serves a series may change from step to step, so a series of the result is one of the
operand together with the info series it got its labels from; most often there is one such combination.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from windvane.promql import regex
from windvane.promql.binary import labels_text, merge_same
from windvane.promql.errors import ExecutionError
from windvane.promql.functions.base import Evaluation, Function
from windvane.promql.labels import Labels, concatenate
from windvane.promql.native import select as natives
from windvane.promql.syntax import METRIC_NAME, Call, Matcher, MatchOp, Selector
from windvane.promql.value import Mask, Steps, Times, Vector

IDENTIFYING = ("instance", "job")


@dataclass(frozen=True, slots=True)
class _Join:
    """The operand's rows to be enriched, the info series, and what of them is wanted.

    `chosen[metric][row, step]` is the info series of one info metric that serves a row, or -1.
    """

    base: Vector
    infos: list[dict[str, str]]
    wanted: tuple[Matcher, ...]
    chosen: list[Times]


def _info(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    vector = evaluation.vector(call.args[0], steps)
    selector = call.args[1]
    assert isinstance(selector, Selector)
    names = [matcher for matcher in selector.matchers if matcher.name == METRIC_NAME]
    wanted = tuple(matcher for matcher in selector.matchers if matcher.name != METRIC_NAME)
    is_info = np.array([all(matches(m, name) for m in names) for name in vector.labels.values(METRIC_NAME)], np.bool_)
    base = vector.take(~is_info)
    found = _identified(evaluation.sample_times(selector, steps), base.labels)
    enriched = _enriched(_Join(base, found.labels.dicts(), wanted, _choices(base.labels, found)))
    if not is_info.any():
        return merge_same(enriched)
    same = vector.take(is_info)
    return merge_same(_stacked(same, enriched))


def matches(matcher: Matcher, value: str) -> bool:
    """Whether a label's value meets one condition."""
    match matcher.op:
        case MatchOp.EQUAL:
            return value == matcher.value
        case MatchOp.NOT_EQUAL:
            return value != matcher.value
        case MatchOp.REGEX:
            return regex.anchored(matcher.value).fullmatch(value) is not None
        case MatchOp.NOT_REGEX:
            return regex.anchored(matcher.value).fullmatch(value) is None


def _identified(found: Vector, base: Labels) -> Vector:
    """Info series whose identifying labels occur in the operand, where it has such labels at all."""
    kept, some = np.ones(len(found), np.bool_), False
    for name in IDENTIFYING:
        known = np.unique(base.column(name))
        known = known[known != 0]
        if len(known):
            some = True
            kept &= np.isin(found.labels.column(name), known)
    return found.take(kept & some)


def _choices(base: Labels, found: Vector) -> list[Times]:
    """For each info metric the series that serves each row at each step: the one with the newest sample."""
    keys = concatenate(base.keep(IDENTIFYING), found.labels.keep(IDENTIFYING)).groups()[0]
    base_key, info_key = keys[: len(base)], keys[len(base) :]
    names = found.labels.column(METRIC_NAME)
    choices = []
    for name in np.unique(names).tolist():
        rows = np.flatnonzero(names == name)
        newest = _newest(found, rows, info_key, int(keys.max(initial=-1)) + 1)
        choices.append(newest[base_key])
    return choices


def _newest(found: Vector, rows: Times, key: Times, keys: int) -> Times:
    """For each match group and step the row with the newest sample, -1 without any; two at a time are an error."""
    best = np.full((keys, found.values.shape[1]), -1, np.int64)
    when = np.full(best.shape, -np.inf)
    for row in rows.tolist():
        times = np.where(found.present[row], found.values[row], -np.inf)
        group = key[row]
        clash = found.present[row] & (times == when[group])
        if clash.any():
            step = int(np.flatnonzero(clash)[0])
            other, mine = found.labels.take(np.array([best[group, step], row])).dicts()
            at = round(float(times[step]) * 1000)
            raise ExecutionError(
                "found duplicate series for info metric: "
                f"existing {labels_text(other)} @ {at}, new {labels_text(mine)} @ {at}"
            )
        newer = times > when[group]
        best[group, newer], when[group, newer] = row, times[newer]
    return best


def _enriched(join: _Join) -> Vector:
    """A row for each of the operand's rows and each combination of info series it meets."""
    base, width = join.base, len(join.infos) + 1
    code = np.zeros(base.values.shape, np.int64)
    for choice in join.chosen:
        code = code * width + choice + 1
    rows, combinations, masks = [], [], []
    for row in range(len(base)):
        for one in np.unique(code[row, base.present[row]]).tolist():
            rows.append(row)
            combinations.append(_series_of(one, width, len(join.chosen)))
            masks.append(base.present[row] & (code[row] == one))
    labels = base.labels.take(np.array(rows, np.int64)).dicts()
    merged = [_merged(one, combination, join) for one, combination in zip(labels, combinations, strict=True)]
    kept = np.array([place for place, one in enumerate(merged) if one is not None], np.int64)
    taken = base.take(np.array(rows, np.int64)[kept])
    present: Mask = np.array(masks, np.bool_).reshape(len(masks), base.values.shape[1])[kept]
    pool = base.labels.pool
    return Vector(
        Labels.of(pool, [merged[place] or {} for place in kept.tolist()]), taken.values, present, taken.native
    )


def _series_of(code: int, width: int, metrics: int) -> list[int]:
    """The info series that a combination's number stands for."""
    series = []
    for _ in range(metrics):
        code, one = divmod(code, width)
        if one:
            series.append(one - 1)
    return series


def _merged(base: Mapping[str, str], series: list[int], join: _Join) -> dict[str, str] | None:
    """A row's labels with those of its info series; None where one was asked for and there is none."""
    if not series and not all(matches(matcher, "") for matcher in join.wanted):
        return None
    wanted = {matcher.name for matcher in join.wanted}
    added: dict[str, str] = {}
    for one in reversed(series):
        for name, value in join.infos[one].items():
            if name == METRIC_NAME or (wanted and name not in wanted):
                continue
            if added.get(name, value) != value:
                raise ExecutionError(f"conflicting label: {name}")
            if name not in base:
                added[name] = value
    return {**base, **added}


def _stacked(left: Vector, right: Vector) -> Vector:
    """The rows of both."""
    values, present = np.concatenate([left.values, right.values]), np.concatenate([left.present, right.present])
    return Vector(concatenate(left.labels, right.labels), values, present, natives.concatenated([left, right]))


FUNCTIONS: dict[str, Function] = {"info": _info}
