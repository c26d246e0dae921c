"""How kernels are compiled: without the GIL, and cached on disk.

The cache stands beside the source where that may be written, else in numba's folder under the home
directory, else in a folder of this user's under the system's temporary directory.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core import config as numba_config

config: Any = numba_config  # its settings are made at run time

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


def _writable(path: Path) -> bool:
    while not path.exists() and path != path.parent:
        path = path.parent
    return os.access(path, os.W_OK | os.X_OK)


def choose_cache() -> None:
    """Give kernels a folder of this version's own, where one may be written.

    Numba looks at the age of the file a kernel stands in, not at the helpers it compiles in from others:
    after an edit of a helper it would go on with old code. So the folder is named after all their sources.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    for parent in (Path(__file__).parent / "__pycache__", home / "windvane"):
        if config.CACHE_DIR or _writable(parent):
            break
    else:
        parent = Path(tempfile.gettempdir()) / f"windvane-kernels-{os.getuid()}"
        parent.mkdir(mode=0o700, exist_ok=True)
        if parent.stat().st_uid != os.getuid():  # code of a stranger's making is never loaded
            return
    if not config.CACHE_DIR:
        config.CACHE_DIR = str(_fresh(parent))


def _fresh(parent: Path) -> Path:
    """The folder of the sources as they are; those of older sources are removed when it is new."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        text = path.read_bytes()
        if b"jit import" in text or b"njit" in text:
            digest.update(text)
    folder = parent / f"kernels-{digest.hexdigest()[:16]}"
    if not folder.exists():
        for old in parent.glob("kernels-*"):
            if old != folder:  # another process may just have made it
                shutil.rmtree(old, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
    return folder


choose_cache()


def kernel(function: _Function) -> _Function:
    """Compile on first call (or from the cache), release the GIL while running."""
    return cast("_Function", numba.njit(nogil=True, cache=True, error_model="numpy")(function))


def inlined(function: _Function) -> _Function:
    """A helper of kernels, compiled into them."""
    return cast("_Function", numba.njit(nogil=True, error_model="numpy")(function))


_LEAST_WORK = 400_000
"""Samples and results (together) below which a second thread costs more than it brings."""
_cores = os.cpu_count() or 1
_threads = ThreadPoolExecutor(max(1, _cores - 1), thread_name_prefix="promql-kernel")


def by_series(function: _Function) -> _Function:
    """A kernel whose first arguments are the offsets of flat samples, their times and values, and the windows' ends.

    Its results have a row for a series. Many series are split among the machine's cores. `compiled` of it is
    the kernel that does them all itself.
    """
    compiled = kernel(function)

    @functools.wraps(function)
    def split(offsets: Any, times: Any, values: Any, ends: Any, *rest: Any) -> Any:
        cuts = cuts_of(offsets, len(ends))
        if len(cuts) == 2:
            return compiled(offsets, times, values, ends, *rest)
        parts = [(offsets[low : high + 1], times, values, ends, *rest) for low, high in pairwise(cuts)]
        results = on_cores(lambda part: compiled(*part), parts)
        return tuple(np.concatenate(column) for column in zip(*results, strict=True))

    cast("Any", split).compiled = compiled
    return cast("_Function", split)


def on_cores(work: Callable[[_Part], _Result], parts: Sequence[_Part]) -> list[_Result]:
    """Work on every part at the same time, the first in this thread."""
    later = [_threads.submit(work, part) for part in parts[1:]]
    return [work(parts[0]), *(one.result() for one in later)]


def cuts_of(offsets: Any, steps: int) -> list[int]:
    """Bounds of ranges of series with about the same work, at most one a core."""
    series = len(offsets) - 1
    work = offsets - offsets[0] + steps * np.arange(series + 1)
    pieces = int(min(_cores, max(1, work[-1] // _LEAST_WORK), max(1, series)))
    inner = np.searchsorted(work, work[-1] * np.arange(1, pieces) // pieces)
    return [0, *inner.tolist(), series]
