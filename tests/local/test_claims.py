"""What scenarios claim: the file, the judgement of answers, and when asking ends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError, UnavailableError
from windvane.local.claims import Claim, Claims, Line, Most, judged, judged_lines, longest_return, most_different
from windvane.local.rundir import scenario_claims, scenarios
from windvane.local.verify import settled

SHARE: dict[str, Any] = {"claim": "a third", "shows": "RANDOM", "promql": "x", "expect": {"at_most": 0.4}}


def claim(**fields: Any) -> Claim:
    return Claim.model_validate(SHARE | fields)


def test_every_scenario_says_what_it_shows() -> None:
    assert {name: bool(scenario_claims(name).claims) for name in scenarios()} == dict.fromkeys(scenarios(), True)
    with pytest.raises(BadInputError, match=r"no scenario 'nope' \(there is: finance, iot, resilience, shop\)"):
        scenario_claims("nope")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"logs": "a", "returns": {"after": 1}}, "exactly one of promql, traceql, logs"),
        ({"most": {"different": "a", "per": "b"}}, "traceql goes with most"),
        ({"expect": None}, "expect says what value is right"),
        ({"expect": {}}, "give at_least, at_most or both"),
        ({"expct": {}}, "Extra inputs are not permitted"),
    ],
)
def test_a_claim_that_makes_no_sense_is_refused_with_its_place(
    fields: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    file = tmp_path / "claims.yaml"
    file.write_text(str({"title": "t", "claims": [{**SHARE, **fields}]}).replace("None", "null"))
    with pytest.raises(BadInputError, match=rf"claims\.yaml: claims\.0.*{reason}"):
        Claims.load(file)


def test_a_value_is_judged_by_its_bounds_once_there_is_enough() -> None:
    enough = claim(enough={"promql": "n", "at_least": 10})
    assert [judged(enough, 0.3, seen).verdict for seen in (None, 9, 10)] == ["too few", "too few", "holds"]
    assert [judged(claim(), value).verdict for value in (None, float("nan"), 0.4, 0.41)] == [
        "too few",
        "too few",
        "holds",
        "fails",
    ]


def test_an_instance_returns_when_it_succeeds_long_after_a_failure() -> None:
    wanted = Claim.model_validate({"claim": "c", "shows": "s", "logs": "q", "returns": {"after": 1}})
    steady = [Line(0.0, failed=False), Line(0.1, failed=True), Line(0.2, failed=True)]
    assert longest_return(steady) is None
    assert [judged_lines(wanted, [*steady, Line(at, failed=False)]).verdict for at in (0.5, 1.3)] == [
        "too few",
        "holds",
    ]


def test_the_most_values_that_come_with_one() -> None:
    series = [{"user": "a", "node": "1"}, {"user": "a", "node": "2"}, {"user": "b", "node": "1"}, {"node": "3"}]
    assert most_different(series, Most(different="node", per="user")) == 2
    assert most_different(series, Most(different="zone", per="user")) is None


def test_a_server_that_does_not_answer_is_asked_again() -> None:
    answers = iter([None, "0.3"])

    async def ask(path: str, **parameters: object) -> Any:
        value = next(answers)
        if value is None:
            raise UnavailableError("busy")
        return {"data": {"resultType": "scalar", "result": [0, value]}}

    async def scenario() -> None:
        clock = ManualClock()
        assert [each.seen for each in await settled([claim()], ask, clock, 0)] == ["no answer"]
        assert [each.verdict for each in await settled([claim()], ask, clock, 0)] == ["holds"]

    asyncio.run(scenario())


def test_asking_ends_when_all_hold_or_time_is_up() -> None:
    asked: list[str] = []

    async def ask(path: str, **parameters: object) -> Any:
        asked.append(str(parameters["query"]))
        value = "0.3" if parameters["query"] == "x" or len(asked) > 2 else "0.9"
        return {"data": {"resultType": "scalar", "result": [0, value]}}

    async def scenario() -> None:
        clock = ManualClock()
        asking = asyncio.create_task(settled([claim(), claim(promql="y")], ask, clock, 10))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not asking.done()
        clock.advance(1)
        assert [each.verdict for each in await asking] == ["holds", "holds"]
        assert asked == ["x", "y", "y"]
        assert [each.verdict for each in await settled([claim(expect={"at_most": 0.1})], ask, clock, 0)] == ["fails"]

    asyncio.run(scenario())
