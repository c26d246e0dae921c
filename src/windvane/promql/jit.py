"""How kernels are compiled: without the GIL, and cached on disk.

The cache stands beside the source where that may be written, else in numba's folder under the home
directory, else in a folder of this user's under the system's temporary directory.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import config as numba_config

config: Any = numba_config  # its settings are made at run time

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _writable(path: Path) -> bool:
    while not path.exists() and path != path.parent:
        path = path.parent
    return os.access(path, os.W_OK | os.X_OK)


def choose_cache() -> None:
    """Keep numba from failing where neither the package nor the home directory may be written."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    if config.CACHE_DIR or _writable(Path(__file__).parent / "__pycache__") or _writable(home):
        return
    folder = Path(tempfile.gettempdir()) / f"windvane-kernels-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid == os.getuid():  # code of a stranger's making is never loaded
        config.CACHE_DIR = str(folder)


choose_cache()


def kernel(function: _Function) -> _Function:
    """Compile on first call (or from the cache), release the GIL while running."""
    return cast("_Function", numba.njit(nogil=True, cache=True, error_model="numpy")(function))


def inlined(function: _Function) -> _Function:
    """A helper of kernels, compiled into them."""
    return cast("_Function", numba.njit(nogil=True, error_model="numpy")(function))
