"""Releases run by a server: files read again and again, a shelf, a judge, and a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from releases import CANARY, ROUTES

from windvane.analytics.releases.counts import Arm, Counts
from windvane.analytics.releases.judge import Settings, Verdict, judge
from windvane.analytics.releases.read import Question
from windvane.kit.clock import ManualClock
from windvane.kit.errors import ConflictError, NotFoundError, UnavailableError
from windvane.mesh.files import FileSource
from windvane.rollout.evidence import Examined
from windvane.rollout.folder import Key, findings
from windvane.rollout.keeper import Keeper
from windvane.rollout.model import Plan
from windvane.rollout.plan import read
from windvane.rollout.release import Memory, Release, Told
from windvane.rollout.weights import find

PLAN = read(CANARY, "canary.yaml")
OTHER = CANARY.replace("name: reviews, namespace", "name: second, namespace")


def examined(verdict: Verdict, end: float) -> Examined:
    """A verdict as if it had been found."""
    nothing = np.zeros((1, 1))
    arms = [Arm(name, ("a",), nothing + 100, nothing, np.full((1, 2), 50.0)) for name in ("v1", "v2")]
    counts = Counts(np.array([end]), np.array([10.0, np.inf]), arms[0], arms[1])
    question = Question("reviews.shop", "v1", "v2", int(end * 1e3) - 60_000, int(end * 1e3))
    found = replace(judge(counts), verdict=verdict, reasons=(f"it is {verdict}",))
    return Examined(end, question, counts, found, Settings())


@dataclass
class MemoryShelf:
    """States in memory; may be out of order."""

    kept: dict[Key, Memory] = field(default_factory=dict)
    broken: bool = False

    def load(self) -> Mapping[Key, Memory]:
        return self.kept

    def save(self, key: Key, memory: Memory | None, at: float) -> None:
        if self.broken:
            raise UnavailableError("the store does not answer")
        if memory is None:
            self.kept.pop(key, None)
        else:
            self.kept[key] = memory


@dataclass
class World:
    """A folder with a keeper over it; `minutes` lets time pass, `load` reads the files again."""

    folder: Path
    shelf: MemoryShelf = field(default_factory=MemoryShelf)
    verdict: Verdict = "safe"
    clock: ManualClock = field(default_factory=ManualClock)
    told: list[Told] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.source = FileSource([self.folder])
        self.keeper = Keeper(self._examine, self.shelf, self.clock, self.told.append)

    def _examine(self, plan: Plan, start: float, end: float) -> Examined:
        return examined(self.verdict, end)

    def write(self, canary: str = CANARY, routes: str = ROUTES) -> None:
        (self.folder / "routes.yaml").write_text(routes, encoding="utf-8")
        (self.folder / "canary.yaml").write_text(canary, encoding="utf-8")

    def load(self) -> None:
        result = self.source.load()
        self.keeper.given(result.beside, self.source.texts(), whole=result.accepted)

    async def settle(self) -> None:
        for _ in range(40):
            await asyncio.sleep(0)

    async def minutes(self, count: int) -> None:
        for _ in range(count):
            self.clock.advance(60)
            await self.settle()

    @property
    def release(self) -> Release:
        return self.keeper.named("shop", "reviews")

    @property
    def weight(self) -> int:
        return find((self.folder / "routes.yaml").read_text(encoding="utf-8"), "", PLAN)[0].weight


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would run in a thread runs at once, so that a few turns of the loop settle everything."""

    async def at_once(work: Callable[..., Any], *given: Any) -> Any:
        return work(*given)

    monkeypatch.setattr(asyncio, "to_thread", at_once)


def live(world: World, story: Callable[[], Awaitable[None]]) -> None:
    """Tell a story while the keeper runs."""

    async def told() -> None:
        running = asyncio.create_task(world.keeper.run())
        try:
            world.load()
            await world.settle()
            await story()
            assert not running.done()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(told())


def test_a_canary_of_the_folder_is_promoted_step_by_step(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.write()

    async def story() -> None:
        assert (world.release.state.phase, world.weight) == ("Progressing", 5)
        await world.minutes(12)
        assert (world.release.state.phase, world.weight) == ("Succeeded", 100)
        assert world.release.next_look is None

    live(world, story)
    assert [one.event.weight for one in world.told if one.event] == [5, 20, 50, 100]


def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    first = World(tmp_path)
    first.write()

    async def begin() -> None:
        await first.minutes(4)
        assert first.weight == 20

    live(first, begin)
    second = World(tmp_path, first.shelf, clock=first.clock)

    async def go_on() -> None:
        assert (second.release.state.weight, second.weight) == (20, 20)
        second.verdict = "regress"
        await second.minutes(2)
        assert (second.release.state.phase, second.weight) == ("Failed", 0)

    live(second, go_on)
    third = World(tmp_path, first.shelf, clock=first.clock)

    async def stay() -> None:
        await third.minutes(2)
        assert (third.release.state.phase, third.weight) == ("Failed", 0)

    live(third, stay)


def test_what_was_promoted_before_is_not_set_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.write(routes=ROUTES.replace("weight: 100 ", "weight: 0 ").replace("{weight: 0,", "{weight: 100,"))

    async def story() -> None:
        await world.minutes(3)
        assert (world.release.state.phase, world.weight) == ("Succeeded", 100)

    live(world, story)


def test_edits_are_taken_up_and_wrong_ones_are_told(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.write()

    async def story() -> None:
        world.write(CANARY.replace("[5, 20, 50]", "[50, 20]"), (tmp_path / "routes.yaml").read_text(encoding="utf-8"))
        world.load()
        await world.minutes(4)
        assert "must be rising percentages" in str(world.release.problems[0])
        assert world.weight == 20
        routes = (tmp_path / "routes.yaml").read_text(encoding="utf-8")
        world.write(CANARY.replace("[5, 20, 50]", "[5, 20, 90]"), routes)
        world.load()
        await world.minutes(4)
        assert not world.release.problems
        assert world.weight == 90
        world.write("kind: [", routes)  # not YAML: nothing is gone
        world.load()
        await world.minutes(1)
        assert world.release.state.phase == "Succeeded"

    live(world, story)


def test_a_canary_that_is_gone_is_forgotten_and_its_weights_stay(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.write()

    async def story() -> None:
        (tmp_path / "canary.yaml").unlink()
        world.load()
        await world.minutes(5)
        with pytest.raises(NotFoundError, match="no Canary shop/reviews"):
            world.keeper.named("shop", "reviews")
        assert (world.weight, world.shelf.kept) == (5, {})

    live(world, story)


def test_other_versions_are_another_release(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.write()

    async def story() -> None:
        await world.minutes(12)
        assert world.release.state.phase == "Succeeded"
        routes = (tmp_path / "routes.yaml").read_text(encoding="utf-8")
        third = "- {weight: 0, destination: {host: reviews, subset: v3}}"
        world.write(
            CANARY.replace("v1\n  canary: v2", "v2\n  canary: v3"),
            routes.replace("- {weight: 100,", f"{third}\n        - {{weight: 100,"),
        )
        world.load()
        await world.settle()
        assert (world.release.state.phase, world.release.state.weight) == ("Progressing", 5)
        assert world.shelf.kept["shop", "reviews"].canary == "v3"

    live(world, story)


def test_bad_canaries_are_told_and_others_go_on(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.write(CANARY + "---" + OTHER + "---" + OTHER.replace("second", "third").replace("canary: v2", "canary: v9"))

    async def story() -> None:
        await world.minutes(4)
        assert world.weight == 20
        bad = {one.key[1]: str(one.problems[0]) for one in world.keeper.releases() if one.problems}
        assert "reviews at" in bad["second"]
        assert "moves the weights of reviews already" in bad["second"]
        assert "leads to the subset v1 of reviews and the subset v9 of reviews" in bad["third"]
        with pytest.raises(ConflictError, match="shop/second cannot be carried out"):
            await world.keeper.ask("shop", "second", "pause")

    live(world, story)
    source = FileSource([tmp_path], readers=(findings,))
    told = [(one.code, one.resource) for one in source.load().findings if one.code.startswith("WV071")]
    assert told == [("WV0710", "Canary shop/third"), ("WV0711", "Canary shop/second")]


def test_people_steer_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.write()

    async def story() -> None:
        ask = world.keeper.ask
        assert world.keeper.possible(world.release) == ["pause", "promote", "rollback"]
        await ask("shop", "reviews", "pause")
        await world.minutes(5)
        assert (world.release.state.phase, world.weight) == ("Paused", 5)
        with pytest.raises(ConflictError, match="shop/reviews is paused already"):
            await ask("shop", "reviews", "pause")
        await ask("shop", "reviews", "resume")
        await ask("shop", "reviews", "rollback")
        assert (world.release.state.phase, world.weight) == ("Failed", 0)
        with pytest.raises(ConflictError, match="has ended"):
            await ask("shop", "reviews", "promote")
        await ask("shop", "reviews", "restart")
        assert (world.release.state.phase, world.weight) == ("Progressing", 5)
        await ask("shop", "reviews", "promote")
        assert (world.release.state.phase, world.weight) == ("Succeeded", 100)

    live(world, story)


def test_an_approval_opens_the_last_gate(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.write(CANARY + "    confirmPromotion: true\n")

    async def story() -> None:
        with pytest.raises(ConflictError, match="waits for nobody's approval"):
            await world.keeper.ask("shop", "reviews", "approve")
        await world.minutes(20)
        assert (world.release.state.phase, world.weight) == ("WaitingPromotion", 50)
        await world.keeper.ask("shop", "reviews", "approve")
        assert (world.release.state.phase, world.weight) == ("Succeeded", 100)

    live(world, story)


def test_what_cannot_be_kept_or_written_does_not_happen(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.write()

    async def story() -> None:
        world.shelf.broken = True
        with pytest.raises(ConflictError, match="pause of shop/reviews: the store does not answer"):
            await world.keeper.ask("shop", "reviews", "pause")
        assert world.release.state.phase == "Progressing"
        world.shelf.broken = False
        routes = tmp_path / "routes.yaml"
        text = routes.read_text(encoding="utf-8")
        routes.unlink()
        with pytest.raises(ConflictError, match=r"routes\.yaml"):
            await world.keeper.ask("shop", "reviews", "rollback")
        routes.write_text(text, encoding="utf-8")
        await world.minutes(1)
        assert (world.release.state.phase, world.weight, world.release.trouble) == ("Failed", 0, "")

    live(world, story)
