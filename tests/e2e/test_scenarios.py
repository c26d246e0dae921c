"""The scenario of load balancing and faults shows on real Envoys what it claims, by its own telemetry."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from windvane.cli.scenarios import command

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def test_everything_that_resilience_claims_holds() -> None:
    result = CliRunner().invoke(command, ["verify", "resilience", "--within", "120s", "--output", "json"])
    found = json.loads(result.stdout)
    assert {each["claim"]: (each["seen"], each["verdict"]) for each in found if each["verdict"] != "holds"} == {}
    assert result.exit_code == 0
