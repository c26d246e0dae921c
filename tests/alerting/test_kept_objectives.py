"""Objectives that a server keeps: their files as they are edited, and the rules made of them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from click.testing import CliRunner
from rules_bench import Server, settle, until

from windvane.alerting.files import read as read_rules
from windvane.alerting.slo import render
from windvane.alerting.slo_file import read
from windvane.alerting.slo_kept import groups
from windvane.alerting.slo_kept_files import KeptObjectives
from windvane.cli import analyze
from windvane.promql.parse import parse
from windvane.store.embedded import EmbeddedEngine

ONE = """
apiVersion: windvane.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: reviews, namespace: shop}
spec: {service: reviews, period: 7d, errors: {objective: 99.9}, latency: {objective: 95, threshold: 300ms}}
"""


def named(kept: KeptObjectives) -> list[str]:
    return [f"{one.name} {one.slo.objective:g}" for one in kept.objectives]


def test_a_bad_edit_keeps_the_objectives_of_before(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(ONE)
    kept = KeptObjectives([str(tmp_path / "*.yaml"), str(tmp_path / "gone.yml")])
    assert kept.look()
    assert named(kept) == ["reviews 99.9"]
    assert [str(one) for one in kept.problems] == [f"{tmp_path}/gone.yml: there is no such file"]
    assert not kept.look()
    file.write_text(ONE.replace("99.9", "oops!"))
    assert not kept.look()
    assert named(kept) == ["reviews 99.9"]
    assert "a.yaml:5:58: spec.errors.objective" in str(kept.problems[-1])
    file.write_text(ONE.replace("99.9", "99.99"))
    assert kept.look()
    assert named(kept) == ["reviews 99.99"]
    file.unlink()
    assert kept.look()
    assert named(kept) == []


def test_objectives_among_the_mesh_files_and_of_one_name() -> None:
    texts = {"mesh/a.yaml": ONE, "mesh/b.yaml": ONE.replace("99.9", "90"), "mesh/c.yaml": "kind: Service"}
    kept = KeptObjectives(mesh=lambda: texts)
    assert kept.look()
    assert named(kept) == ["reviews 99.9"]
    assert [str(one) for one in kept.problems] == [
        "mesh/b.yaml:2: metadata.name: reviews of namespace shop is in mesh/a.yaml:2 already"
    ]


def test_rules_carry_names_and_thresholds_of_their_period() -> None:
    objectives = read(ONE, "a.yaml")
    made = groups(objectives)
    assert [group.name for group in made] == [
        "slo-shop/reviews-errors-burn", "slo-shop/reviews-errors-budget",
        "slo-shop/reviews-latency-burn", "slo-shop/reviews-latency-budget",
    ]  # fmt: skip
    for rule in (rule for group in made for rule in group.rules):
        parse(rule.expr)
        assert {"slo", "namespace", "service", "sli"} <= rule.labels.keys()
    alerts = {rule.labels["window"]: rule for rule in made[0].rules + made[1].rules if rule.alerting}
    # 14.4 x 7 d / 30 d = 3.36 times a budget of 0.001; a threshold never lies below one
    assert "> 0.00336\n" in alerts["1h"].expr
    assert "> 0.001\n" in alerts["3d"].expr
    assert "2 % of a 7-day error budget goes in 1h" in alerts["1h"].annotations["description"]
    assert "43 % of a 7-day error budget goes in 3d" in alerts["3d"].annotations["description"]


def test_rules_for_prometheus_are_for_the_same_period() -> None:
    (objective,) = read(ONE, "a.yaml")
    found, problems = read_rules(render(objective.slo, objective.labels), "rules.yml")
    assert not problems
    assert any(rule.name == "slo:bad_requests:rate7d" for group in found for rule in group.rules)


def test_made_groups_run_beside_files_and_survive_bad_ones(engine: EmbeddedEngine, tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text("groups: [{name: g, rules: [{record: r, expr: 'm +'}]}]")
    made = groups(read(ONE, "a.yaml"))

    async def story() -> None:
        server = Server(engine, tmp_path)
        await server.manager.include(made[:1])
        task = asyncio.create_task(server.manager.run())
        names = lambda: [group.spec.name for group in server.manager.groups()]  # noqa: E731
        await until(lambda: bool(server.manager.problems) and bool(names()))
        assert names() == ["slo-shop/reviews-errors-burn"]
        (tmp_path / "r.yml").write_text("groups: [{name: g, rules: [{record: r, expr: m}]}]")
        await server.manager.reload()
        await settle()
        assert sorted(names()) == ["g", "slo-shop/reviews-errors-burn"]
        await server.manager.include(made[2:3])
        assert sorted(names()) == ["g", "slo-shop/reviews-latency-burn"]
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(story())


def test_analyze_tells_of_objectives_that_cannot_be_used(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(ONE.replace("99.9", "oops!"))
    told = CliRunner().invoke(analyze.command, [str(file)])
    assert told.exit_code == 1
    assert f"{file}:5: error [WV0701]" in told.output
