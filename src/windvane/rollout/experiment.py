"""An experiment's end: units (users, sessions) and what they did, judged once.

The release judge goes on watching errors and times all the while; what units did is asked only when all iterations
are over, since the A/B judge's p-values hold for one look.
"""

from __future__ import annotations

from pathlib import Path

from windvane.analytics.ab.judge import Judged, Metric, judge
from windvane.analytics.ab.table import read_csv
from windvane.kit.errors import BadInputError
from windvane.kit.strict_yaml import Mapping
from windvane.rollout.machine import Check
from windvane.rollout.model import Units

_NAME = "units"
_REQUIRED = ("not worse", "better")


def units(analysis: Mapping, file: str, arms: tuple[str, str]) -> Units | None:
    """`units`: the CSV file beside the object, its columns, and which metrics count."""
    if not analysis.has(_NAME):
        return None
    given = analysis.mapping(_NAME)
    name, node = given.text("file"), given.field_node("requires")
    requires = given.text("requires", _REQUIRED[0])
    if requires not in _REQUIRED:
        given.document.problem(node, given.path_of("requires"), f"{requires!r} is none of {', '.join(_REQUIRED)}")
    found = Units(
        str(Path(file).parent / name), given.text("arm", "variant"), given.text("unit"), given.text("a", arms[0]),
        given.text("b", arms[1]), tuple(given.texts("higher")), tuple(given.texts("lower")),
        _weights(given), given.number("alpha", 0.05), requires == "better",
    )  # fmt: skip
    given.done()
    if not name:
        given.document.problem(given.node, given.path_of("file"), "is missing")
    if not (found.higher or found.lower):
        given.problem("", "needs higher, lower or both: which metrics count")
    if not 0 < found.alpha < 0.5:
        given.problem("alpha", "must lie between 0 and 0.5")
    try:
        _metrics(found)
    except BadInputError as error:
        given.problem("", error.message)
    return found


def _weights(given: Mapping) -> tuple[float, float]:
    node, texts = given.field_node("weights"), given.texts("weights")
    try:
        first, second = (float(text) for text in texts or ("1", "1"))
        if not (first > 0 and second > 0):
            raise ValueError
    except ValueError:
        given.document.problem(node, given.path_of("weights"), "must be two positive numbers, as [50, 50]")
        return 1.0, 1.0
    return first, second


def _metrics(of: Units) -> list[Metric]:
    return [Metric.parse(one) for one in of.higher] + [Metric.parse(one, True) for one in of.lower]


def judged(of: Units) -> Check:
    """Whether B may have all traffic; nothing that decides where there is no file or it cannot be read."""
    metrics = _metrics(of)
    columns = list(dict.fromkeys(name for metric in metrics for name in metric.columns()))
    try:
        with Path(of.file).open(encoding="utf-8", newline="") as lines:
            table = read_csv(lines, of.file, arm=of.arm, unit=of.unit or None, columns=columns)
        found = judge(table, (of.a, of.b), metrics, weights=of.weights, alpha=of.alpha)
    except OSError as error:
        return Check(_NAME, None, f"{of.file}: {error.strerror}")
    except BadInputError as error:
        return Check(_NAME, None, error.message)
    return _decided(found, of)


def _decided(found: Judged, of: Units) -> Check:
    counted = f"{found.units[0]} units of {found.a}, {found.units[1]} of {found.b}"
    if not found.valid:
        return Check(_NAME, False, f"{counted}: not divided as meant (p = {found.split:.1g}), nothing is judged")
    words = [
        f"{one.metric.label} {one.verdict} ({one.effect.effect:+.3g}, {one.effect.low:+.3g} … {one.effect.high:+.3g})"
        for one in found.outcomes
    ]
    verdicts = {one.verdict for one in found.outcomes}
    passed = "worse" not in verdicts and (not of.better or "better" in verdicts)
    return Check(_NAME, passed, f"{counted}: {', '.join(words)}")
