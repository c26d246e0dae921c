"""Arrays of a tree of objects, found by their names: to widen them, to blank a row, to keep and take them up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt


def arrays(owner: object, path: str = "") -> Iterator[tuple[str, Any, str, npt.NDArray[Any]]]:
    """Every array below an object: its path, its owner and name, and itself; the first axis of all is rows."""
    for name, value in vars(owner).items():
        if isinstance(value, np.ndarray):
            yield f"{path}{name}", owner, name, value
        elif type(value).__module__.startswith("windvane.") and hasattr(value, "__dict__"):
            yield from arrays(value, f"{path}{name}.")


def widen(owner: object, blank: object) -> None:
    """Give all arrays the rows of `blank`'s, which is of the same kind, with what they have in the first of them."""
    wider = {path: value for path, _, _, value in arrays(blank)}
    for path, holder, name, value in list(arrays(owner)):
        into = wider[path]
        into[: len(value)] = value
        setattr(holder, name, into)


def clear(owner: object, row: int, blank: object) -> None:
    """Make a row as the first of `blank`'s."""
    fresh = {path: value for path, _, _, value in arrays(blank)}
    for path, _, _, value in arrays(owner):
        value[row] = fresh[path][0]
