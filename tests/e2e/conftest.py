"""One demo that several tests look at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from demo_process import Demo, with_graph


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One running demo for tests that only look, at 60 requests a second, with a graph."""
    with with_graph(tmp_path_factory.mktemp("demo"), 60, "--watch") as running:
        yield running
