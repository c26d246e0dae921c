"""The releases of `examples/releases`, each from its beginning to its end on the mesh beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import copy, copytree
from typing import Any

import pytest

from windvane.kit.clock import ManualClock
from windvane.mesh.files import FileSource, LoadResult
from windvane.rollout.look import Around, look
from windvane.rollout.machine import Found, State
from windvane.rollout.model import Hook, Plan
from windvane.rollout.plan import read
from windvane.rollout.run import Files
from windvane.rollout.weights import apply, find, locate

FOLDER = Path(__file__).parents[2] / "examples" / "releases"
EXAMPLES = sorted(file.name for file in FOLDER.glob("*.yaml"))
ENDS = {
    "promoted": (lambda plan, start, end: Found("safe", ("fine",)), ("Succeeded", 100)),
    "rolled back": (
        lambda plan, start, end: Found("regress" if end - start > 200 else "more traffic needed", ("worse",)),
        ("Failed", 0),
    ),
}


def taken(hook: Hook, payload: Mapping[str, Any]) -> tuple[int, str]:
    return (403, "") if hook.kind == "rollback" else (200, "")


def told(result: LoadResult) -> set[str]:
    assert result.accepted
    return {f"{one.code} {one.message}" for one in result.findings}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example(name: str, end: str, tmp_path: Path) -> None:
    folder = tmp_path / "mesh"
    copytree(FOLDER / "mesh", folder)
    for file in (name, "visitors.csv"):
        copy(FOLDER / file, folder)
    files = Files(folder / name, folder)
    plan, state, clock = files.plan(), State(), ManualClock()
    routes = locate(folder, plan)
    source = FileSource([folder])
    original, before = routes.read_text(encoding="utf-8"), told(source.load())
    judge: Callable[[Plan, float, float], Found] = ENDS[end][0]
    around = Around(judge, clock, lambda text: None, lambda query, at: 99.5 if query.startswith("sum") else 1.0, taken)
    for _ in range(100):
        clock.advance(plan.interval)
        following = look(plan, state, around, "approve" if state.waiting else "", clock.now_ns() / 1e9)
        if apply(routes, plan, following):
            assert told(source.load()) <= before
        state = following
        if state.over:
            break
    assert (state.phase, state.weight) == ENDS[end][1], state.events
    after = routes.read_text(encoding="utf-8")
    if end == "promoted":
        assert {place.weight for place in find(after, "", plan)} == {100}
        assert "windvane shop" not in after
    else:
        assert after == original


def test_an_experiment_waits_for_its_units_and_heeds_them(tmp_path: Path) -> None:
    text = (FOLDER / "experiment.yaml").read_text(encoding="utf-8")
    plan = read(text, str(tmp_path / "experiment.yaml"))
    assert plan.units is not None
    clock, state = ManualClock(), State()
    around = Around(lambda plan, start, end: Found("more traffic needed", ()), clock, lambda text: None)

    def looks(number: int, state: State) -> State:
        for _ in range(number):
            clock.advance(plan.interval)
            state = look(plan, state, around, "", clock.now_ns() / 1e9)
        return state

    state = looks(8, state)
    assert (state.phase, state.iteration) == ("Progressing", 4)
    assert "visitors.csv: No such file" in state.events[-1].text
    units = (FOLDER / "visitors.csv").read_text(encoding="utf-8")
    Path(plan.units.file).write_text(units, encoding="utf-8")
    assert looks(1, state).events[-2].text.startswith("units: 200 units of A, 200 of B: orders/visits better (+0.")
    assert looks(1, state).phase == "Succeeded"
    worse = units.replace("A,", "x,").replace("B,", "A,").replace("x,", "B,")
    Path(plan.units.file).write_text(worse, encoding="utf-8")
    assert "orders/visits worse" in looks(1, state).events[-1].text
    lines = worse.splitlines(keepends=True)
    Path(plan.units.file).write_text("".join(lines[:1] + [one for one in lines[1:200] if one < "B"]
                                             + lines[200:]), encoding="utf-8")  # fmt: skip
    assert (looks(1, state).phase, "not divided as meant" in looks(1, state).events[-1].text) == ("Failed", True)
