"""One demo that several tests look at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from demo_process import Demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One running demo for tests that only look, at 60 requests a second, with a graph."""
    running = Demo(tmp_path_factory.mktemp("demo") / "shop", "--rate", "60")
    try:
        running.wait_for("graph", within=90)
        yield running
    finally:
        running.stop()
        running.kill()
