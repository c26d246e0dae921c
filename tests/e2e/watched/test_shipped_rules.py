"""The rules that come with Windvane, on a demo that has run long enough for all of them to be evaluated."""

from __future__ import annotations

import httpx
import pytest
from demo_process import Demo, until

pytestmark = pytest.mark.e2e


def test_the_rules_for_istio_are_evaluated(demo: Demo) -> None:
    def healthy() -> bool:
        answer = httpx.get(f"{demo.url}/api/v1/rules", timeout=60, trust_env=False)
        assert answer.status_code == 200, answer.text
        rules = [rule for group in answer.json()["data"]["groups"] for rule in group["rules"]]
        assert not [rule for rule in rules if rule["health"] == "err"]
        return bool(rules) and all(rule["health"] == "ok" for rule in rules)

    until(healthy, 90, "every rule evaluated once")
