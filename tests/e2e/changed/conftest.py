"""One demo whose configuration is edited, and whose processes are killed after that."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from demo_process import Demo, with_graph


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with with_graph(tmp_path_factory.mktemp("changed"), rate=40) as demo:
        yield demo
