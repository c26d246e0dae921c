"""Rules on a store and a clock that moves only when told to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from windvane.alerting.files import read
from windvane.alerting.group import Group
from windvane.alerting.manager import Notification, RuleManager, RuleSettings
from windvane.alerting.metrics import RuleMetrics
from windvane.alerting.queries import vector_function
from windvane.alerting.rules import NS, Context
from windvane.kit.clock import ManualClock
from windvane.kit.metrics import Metrics
from windvane.promql.engine import QueryEngine
from windvane.promql.value import VectorResult
from windvane.store.api import Engine
from windvane.store.series import SampleWriter

START = 1_700_000_000
Values = dict[str, float]


class Recorder:
    """A notifier that remembers."""

    def __init__(self) -> None:
        self.sent: list[Notification] = []

    def send(self, notifications: Sequence[Notification]) -> None:
        self.sent.extend(notifications)


def write(engine: Engine, seconds: float, values: Mapping[str, float]) -> None:
    """Store one sample of each metric (`name` or `name{a="b"}` without quotes inside values) at one time."""
    labels = [_labels(text) for text in values]
    times = np.full(len(labels), int(seconds * 1000), np.int64)
    SampleWriter(engine).write(labels, times, np.array(list(values.values())))


def _labels(text: str) -> dict[str, str]:
    name, _, inner = text.partition("{")
    pairs = (part.split("=") for part in inner.rstrip("}").split(",") if part)
    return {"__name__": name, **{key: value.strip('"') for key, value in pairs}}


def instant(engine: Engine, query: str, seconds: float) -> Values:
    """A vector's values by its series as text."""
    value = QueryEngine(engine).instant(query, round(seconds * 1000)).value
    assert isinstance(value, VectorResult)
    names = (",".join(f"{k}={v}" for k, v in sorted(labels.items()) if k != "__name__") for labels in value.metrics)
    return dict(zip(names, value.values.tolist(), strict=True))


def group_of(engine: Engine, text: str, **context: object) -> Group:
    """The first group of a rule file's text, every alert restored."""
    groups, problems = read(text, "r.yml")
    assert not problems, problems
    spec = groups[0]
    return Group(
        spec,
        interval=spec.interval or 60.0,
        query_offset=spec.query_offset or 0.0,
        writer=SampleWriter(engine),
        context=Context(vector_function(QueryEngine(engine)), **context),  # type: ignore[arg-type]
        metrics=RuleMetrics(Metrics()),
    )


def rules(*items: str, name: str = "g", interval: str = "1m") -> str:
    """A rule file with one group."""
    lines = "".join(f"  - {item}\n" for item in items)
    return f"groups:\n- name: {name}\n  interval: {interval}\n  rules:\n{lines}"


class Server:
    """A manager that runs on a manual clock."""

    def __init__(self, engine: Engine, folder: Path, metrics: Metrics | None = None, **settings: object) -> None:
        self.engine = engine
        self.clock = ManualClock(START * NS)
        self.metrics = metrics or Metrics()
        self.notified = Recorder()
        self.folder = folder
        self.manager = RuleManager(
            QueryEngine(engine),
            SampleWriter(engine),
            engine,
            clock=self.clock,
            metrics=self.metrics,
            settings=RuleSettings(globs=["*.yml"], base=folder, **settings),  # type: ignore[arg-type]
            notifier=self.notified,
        )

    @property
    def now(self) -> float:
        """Whole milliseconds, rounded down: a sample written for a slot must not lie after it."""
        return self.clock.now_ns() // 1_000_000 / 1000

    @property
    def slot(self) -> int:
        """The newest slot of the first group."""
        return self.manager.groups()[0].slot(self.clock.now_ns())

    def count(self, name: str, group: str = "g") -> float:
        """A measure of one group."""
        label = {"rule_group": f"{self.folder / 'r.yml'};{group}"}
        return self.metrics.registry.get_sample_value(name, label) or 0.0

    async def pass_time(self, seconds: float, group: str = "g") -> None:
        """Let time pass and wait until what was due in it has been evaluated."""
        running = next(one for one in self.manager.groups() if one.spec.name == group)
        due = (running.slot(self.clock.now_ns() + round(seconds * NS)) - running.slot(self.clock.now_ns())) > 0
        before = self.count("prometheus_rule_evaluations_total", group)
        await settle()
        self.clock.advance(seconds)
        if due:
            await until(lambda: running.last_evaluation == self.clock.now_ns() and
                        self.count("prometheus_rule_evaluations_total", group) > before)  # fmt: skip
        await settle()


async def settle() -> None:
    """Let every task run as far as it can go without time passing."""
    for _ in range(20):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for a condition, with a deadline on the machine's own clock."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the condition did not come true")
        await asyncio.sleep(0.01)
