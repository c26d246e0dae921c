"""One demo that the tests of this folder look at; it ends with them, for it takes half of a processor."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from demo_process import Demo, with_graph


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One running demo for tests that only look, at 60 requests a second, with a graph."""
    with with_graph(tmp_path_factory.mktemp("demo"), 60, "--watch") as running:
        yield running
