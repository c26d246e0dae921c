"""Operations on what stands in an order: filters and routes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar, cast

from windvane.xds.envoy_filters.select import Patch

M = TypeVar("M")


def operate(items: list[M], patch: Patch, matches: Callable[[M], bool], *, named: bool) -> tuple[list[M], bool]:
    """The items after an operation (all but MERGE), and whether it did anything.

    `named` is whether the patch names one of the items: inserting before nothing in particular is inserting at the
    beginning, after nothing at the end, and removing or replacing nothing in particular does nothing.
    """
    if patch.operation == "REMOVE":
        kept = [item for item in items if not (named and matches(item))]
        return kept, len(kept) < len(items)
    at = next((index for index, item in enumerate(items) if matches(item)), None) if named else None
    span = _spans(len(items), at, named=named).get(patch.operation)
    if span is None:
        return items, False
    new = cast("M", copy.deepcopy(cast("Any", patch.value)))
    return [*items[: span[0]], new, *items[span[1] :]], True


def _spans(count: int, at: int | None, *, named: bool) -> dict[str, tuple[int, int]]:
    """Which of the items each operation puts its value in place of: none, or the one at `at`."""
    begin, end = (0, 0), (count, count)
    always = {"ADD": end, "INSERT_FIRST": begin}
    if not named:
        return {**always, "INSERT_BEFORE": begin, "INSERT_AFTER": end}
    if at is None:
        return always
    return {**always, "INSERT_BEFORE": (at, at), "INSERT_AFTER": (at + 1, at + 1), "REPLACE": (at, at + 1)}
