"""`windvane ab plan|judge`: how long an A/B test must run, and what it showed."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from windvane.analytics.ab.effects import MISMATCH
from windvane.analytics.ab.judge import Judged, Metric
from windvane.analytics.ab.judge import judge as judge_table
from windvane.analytics.ab.plan import Design, Plan, effect_for, units_for
from windvane.analytics.ab.table import read_csv
from windvane.cli.output import output_option, print_json, print_table
from windvane.kit.errors import BadInputError


@click.group()
def command() -> None:
    """A/B tests on units such as users or sessions."""


@command.command()
@click.option("--rate", type=float, help="Share of units that say yes today (a conversion), 0 to 1.")
@click.option("--mean", type=float, help="Mean of a unit's value today, instead of --rate.")
@click.option("--sd", type=float, help="Its standard deviation.")
@click.option("--effect", type=float, help="The difference to be found, in the metric's own unit.")
@click.option("--lift", type=float, help="The same as a share of today's: 0.05 is 5 % more.")
@click.option("--days", type=float, help="Instead of a difference: which one is found in so many days?")
@click.option("--daily", type=float, help="Units that come a day, both arms together.")
@click.option("--share", type=float, default=0.5, show_default=True, help="B's share of the units.")
@click.option(
    "--alpha", type=float, default=0.05, show_default=True, help="Chance of a difference where there is none."
)
@click.option("--power", type=float, default=0.8, show_default=True, help="Chance of finding the difference.")
@click.option("--metrics", type=int, default=1, show_default=True, help="How many metrics will be judged.")
@click.option("--correlation", type=float, default=0.0, show_default=True,
              help="Of a unit's value with its value before the test, for CUPED.")  # fmt: skip
@output_option
def plan(
    *, rate: float | None, mean: float | None, sd: float | None, effect: float | None, lift: float | None,
    days: float | None, daily: float | None, share: float, alpha: float, power: float, metrics: int,
    correlation: float, output: str,
) -> None:  # fmt: skip
    """How many units and days a test needs, or what it can find in the days there are."""
    design = _design(rate, mean, sd, Design(0, 1, alpha, power, share, metrics, correlation**2))
    if sum(one is not None for one in (effect, lift, days)) != 1:
        raise BadInputError("give one of --effect, --lift and --days")
    if days is not None:
        if not daily:
            raise BadInputError("--days needs --daily")
        found = effect_for(design, int(days * daily), daily)
    else:
        found = units_for(design, effect if effect is not None else (lift or 0) * design.mean, daily)
    if output == "json":
        print_json(asdict(found))
    else:
        _print_plan(found, design)


def _design(rate: float | None, mean: float | None, sd: float | None, of: Design) -> Design:
    if (rate is None) == (mean is None) or (mean is not None) != (sd is not None):
        raise BadInputError("give --rate, or --mean and --sd")
    if rate is not None:
        return Design.conversion(rate, of)
    assert mean is not None
    assert sd is not None
    return Design(mean, sd**2, of.alpha, of.power, of.share, of.metrics, of.explained)


def _print_plan(found: Plan, design: Design) -> None:
    relative = "" if found.relative is None else f" ({100 * found.relative:.3g} % of {design.mean:g})"
    click.echo(f"units: {found.units} ({round(found.units * (1 - design.share))} in A)")
    click.echo(f"finds a difference of {found.effect:.4g}{relative} with a chance of {100 * design.power:g} %")
    if found.days is not None:
        click.echo(f"days: {found.days:.1f} (whole weeks are fairer: {-(-found.days // 7):.0f})")


@command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--arm", default="variant", show_default=True, help="The column that says which arm a unit is in.")
@click.option("--unit", help="The column that names units, where a unit has several rows: they are added up.")
@click.option("--a", default="A", show_default=True, help="The arm that is compared with.")
@click.option("--b", default="B", show_default=True, help="The arm that is judged.")
@click.option("--metric", "higher", multiple=True, metavar="COLUMN[/COLUMN|~COVARIATE]",
              help="Higher is better: a mean, a ratio of sums, a mean adjusted by a value before it.")  # fmt: skip
@click.option("--lower", "lower", multiple=True, metavar="COLUMN[/COLUMN|~COVARIATE]", help="Lower is better.")
@click.option("--weights", default="1,1", show_default=True, help="How units were to be divided, A and B.")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Chance of any false difference.")
@output_option
def judge(
    *, file: Path, arm: str, unit: str | None, a: str, b: str, higher: tuple[str, ...], lower: tuple[str, ...],
    weights: str, alpha: float, output: str,
) -> None:  # fmt: skip
    """Judge an A/B test from a CSV FILE with a row a unit.

    The split is checked first (sample-ratio mismatch); Holm's correction holds over all metrics. Exit code 3 where the
    split is broken, 1 where a metric is worse.
    """
    metrics = [Metric.parse(one) for one in higher] + [Metric.parse(one, True) for one in lower]
    columns = list(dict.fromkeys(name for metric in metrics for name in metric.columns()))
    with file.open(encoding="utf-8", newline="") as lines:
        table = read_csv(lines, str(file), arm=arm, unit=unit, columns=columns)
    found = judge_table(table, (a, b), metrics, weights=_weights(weights), alpha=alpha)
    if output == "json":
        print_json({**asdict(found), "valid": found.valid})
    else:
        _print_judged(found)
    sys.exit(3 if not found.valid else int(any(one.verdict == "worse" for one in found.outcomes)))


def _weights(text: str) -> tuple[float, float]:
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        raise BadInputError(f"weights {text!r}: expected two numbers, as 50,50") from None
    return first, second


def _print_judged(found: Judged) -> None:
    click.echo(f"{found.a}: {found.units[0]} units, {found.b}: {found.units[1]} units; split p = {found.split:.3g}")
    if not found.valid:
        click.echo(f"sample-ratio mismatch (p < {MISMATCH:g}): the assignment is broken, effects are not judged")
    print_table(["metric", found.a, found.b, "difference", "interval", "relative", "p adjusted", "verdict"], (
        (one.metric.label, f"{one.effect.a:.5g}", f"{one.effect.b:.5g}", f"{one.effect.effect:+.4g}",
         f"{one.effect.low:+.4g} … {one.effect.high:+.4g}",
         "" if one.effect.relative is None else f"{100 * one.effect.relative:+.2f}%",
         f"{one.adjusted:.3g}", one.verdict)
        for one in found.outcomes
    ))  # fmt: skip
