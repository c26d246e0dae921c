"""A/B tests: the split, effects and their coverage, plans, and the commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from windvane.analytics.ab.effects import cuped, mean_effect, ratio_effect, sample_ratio
from windvane.analytics.ab.judge import Metric, Table, judge
from windvane.analytics.ab.plan import Design, effect_for, units_for
from windvane.cli.ab import command
from windvane.kit.errors import BadInputError


def test_the_split() -> None:
    assert sample_ratio([50_500, 49_500], [1, 1]) == pytest.approx(0.001565, abs=1e-6)
    assert sample_ratio([5_050, 4_950], [0.5, 0.5]) == pytest.approx(0.3173, abs=1e-4)
    assert sample_ratio([900, 100], [90, 10]) == 1.0
    with pytest.raises(BadInputError, match="two arms at least"):
        sample_ratio([1, 2], [1])


def test_the_difference_of_means_is_welchs() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(10, 2, 50), rng.normal(11, 4, 80)
    ours, theirs = mean_effect(a, b), stats.ttest_ind(b, a, equal_var=False)
    assert ours.p == pytest.approx(theirs.pvalue)
    interval = theirs.confidence_interval()
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high))


def test_a_covariate_narrows_the_interval_and_keeps_its_coverage() -> None:
    covered, widths = 0, []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        before = rng.normal(10, 3, (2, 500))
        after = 10 + 0.7 * (before - 10) + rng.normal(0, 3 * np.sqrt(0.51), (2, 500)) + np.array([[0.0], [0.2]])
        found = cuped(after[0], after[1], before[0], before[1])
        plain = mean_effect(after[0], after[1])
        covered += found.low <= 0.2 <= found.high
        widths.append((found.high - found.low) / (plain.high - plain.low))
    assert 0.92 <= covered / 200 <= 0.98
    assert np.mean(widths) == pytest.approx(np.sqrt(0.51), abs=0.01)
    assert found.shrunk == pytest.approx(0.49, abs=0.08)


def test_a_ratio_has_the_unit_for_its_unit() -> None:
    """Views of one user are alike: taking them for independent would call chance a difference."""
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        arms = []
        for _ in range(2):
            views = rng.poisson(10, 300) + 1
            arms.append((rng.binomial(views, rng.beta(2, 8, 300)).astype(float), views.astype(float)))
        found = ratio_effect(*arms)
        covered += found.low <= 0 <= found.high
    assert 0.91 <= covered / 200 <= 0.99


def test_a_plan_keeps_its_promise() -> None:
    plan = units_for(Design.conversion(0.1), 0.02, daily=1000)
    assert plan.days == plan.units / 1000
    rng, half = np.random.default_rng(2), plan.units // 2
    found = 0
    for _ in range(400):
        first, second = rng.binomial(half, 0.1), rng.binomial(half, 0.12)
        spread = np.sqrt((first / half * (1 - first / half) + second / half * (1 - second / half)) / half)
        found += abs(second - first) / half / spread > 1.96
    assert found / 400 == pytest.approx(0.8, abs=0.06)
    assert effect_for(Design.conversion(0.1), plan.units).effect == pytest.approx(0.02, rel=1e-3)


def test_more_metrics_less_share_and_no_covariate_cost_units() -> None:
    base = units_for(Design(10, 4), 0.1).units
    assert units_for(Design(10, 4, metrics=5), 0.1).units > base
    assert units_for(Design(10, 4, share=0.1), 0.1).units == pytest.approx(base * 0.25 / 0.09, rel=1e-3)
    assert units_for(Design(10, 4, explained=0.5), 0.1).units == pytest.approx(base / 2, rel=1e-3)


def table(seed: int, sizes: tuple[int, int], lift: float) -> Table:
    rng = np.random.default_rng(seed)
    arms = np.repeat(["A", "B"], sizes)
    return Table(
        arms, {"paid": rng.normal(10, 2, len(arms)) + lift * (arms == "B"), "noise": rng.normal(0, 1, len(arms))}
    )


def test_verdicts() -> None:
    metrics = [Metric("paid"), Metric("noise", lower_is_better=True)]
    found = judge(table(1, (500, 500), 1.0), ("A", "B"), metrics)
    assert [one.verdict for one in found.outcomes] == ["better", "no difference shown"]
    assert found.outcomes[1].adjusted >= found.outcomes[1].effect.p
    broken = judge(table(1, (500, 300), 1.0), ("A", "B"), metrics)
    assert not broken.valid
    assert {one.verdict for one in broken.outcomes} == {"not judged"}
    with pytest.raises(BadInputError, match="no unit of arm 'C'; there are A, B"):
        judge(table(1, (5, 5), 0), ("A", "C"), metrics)


def test_commands(tmp_path: Path) -> None:
    planned = CliRunner().invoke(
        command, ["plan", "--rate", "0.05", "--lift", "0.2", "--daily", "1000", "--output", "json"]
    )
    assert json.loads(planned.output)["units"] == 16310
    file = tmp_path / "units.csv"
    rng = np.random.default_rng(3)
    rows = [f"u{n},{'AB'[n % 2]},{value + n % 2:.3f},{value:.3f}" for n, value in enumerate(rng.normal(10, 2, 400))]
    file.write_text("\n".join(["user,variant,spent,before", *rows, rows[0]]), encoding="utf-8")
    judged = CliRunner().invoke(
        command, ["judge", str(file), "--unit", "user", "--metric", "spent~before", "--output", "json"]
    )
    assert judged.exit_code == 0, judged.output
    found = json.loads(judged.output)
    assert found["units"] == [200, 200]
    assert found["outcomes"][0]["verdict"] == "better"
    file.write_text("variant,spent\nA,1\nB,much\n", encoding="utf-8")
    wrong = CliRunner().invoke(command, ["judge", str(file), "--metric", "spent"])
    assert isinstance(wrong.exception, BadInputError)
    assert wrong.exception.message == f"{file}:3: spent: 'much' is not a number"
