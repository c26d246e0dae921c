"""Binary operators where an operand is a native histogram.

The float elements are computed elsewhere, all at once; this goes through the elements with a
histogram, step by step. What does not fit together has no result and an annotation; as in
Prometheus a step has at most one annotation, that of its last element.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from windvane.promql.native import arithmetic, kernels
from windvane.promql.native.arithmetic import Joined, MixedSchemasError
from windvane.promql.native.bulk import divided, histograms_of, scaled, without_empty
from windvane.promql.native.columns import Grid, concatenated
from windvane.promql.native.estimate import trimmed
from windvane.promql.native.histogram import GAUGE, Histogram
from windvane.promql.signatures import TRIM
from windvane.promql.value import Floats, Mask, Notes, Vector


@dataclass(frozen=True, slots=True)
class Element:
    """The result of an operator on two elements: maybe a histogram, whether it stays, what to note."""

    histogram: Histogram | None
    keep: bool
    warning: str = ""
    info: str = ""


Result = tuple[Floats, Mask, Grid]
"""Values, presence and histograms of a matrix."""


def with_scalar(op: str, vector: Vector, scalar: Floats, computed: tuple[Floats, Mask], note: Note) -> Result:
    """A vector that has histograms with a number a step, which is on the left if `note.swapped`.

    `computed` are values and presence as if all elements were floats.
    """
    which = vector.is_native()
    values, present = computed[0].copy(), computed[1] & ~which
    native = vector.native
    assert native is not None
    if op == "*" or (op == "/" and not note.swapped):
        own, factors = native.only(which).chosen(), np.broadcast_to(scalar, which.shape)[which]
        changed = without_empty(scaled(own, factors) if op == "*" else divided(own, factors))
        return values, present | which, Grid.empty(which.shape).filled(which, changed)
    patches: dict[tuple[int, ...], Histogram] = {}
    for step, row in zip(*(index.tolist() for index in np.nonzero(which.T)), strict=True):
        number, one = float(scalar[step]), native[row, step]
        assert one is not None
        element = elements(op, number, one) if note.swapped else elements(op, one, number)
        note.take(step, element)
        if element.warning or element.info:
            continue
        if note.return_bool:
            values[row, step], present[row, step] = float(element.keep), True
        elif element.keep:
            present[row, step] = True
            if element.histogram is not None:
                patches[row, step] = element.histogram
    note.emit()
    return values, present, Grid.empty(which.shape).patched(patches)


def with_vector(
    op: str, left: Vector, right: Vector, computed: tuple[Floats, Mask], note: Note
) -> tuple[Floats, Mask, Grid, Mask]:
    """Two vectors whose rows are paired already; and which elements did not fit together."""
    natives = left.is_native(), right.is_native()
    which = left.present & right.present & (natives[0] | natives[1])
    values, present, grid = computed[0].copy(), computed[1] & ~which, Grid.empty(which.shape)
    failed = np.zeros(which.shape, np.bool_)
    patches: dict[tuple[int, ...], Histogram] = {}
    if op in ("+", "-"):
        done, grid = _added(op, left, right, which & natives[0] & natives[1])
        present |= done
        which &= ~done
    for step, row in zip(*(index.tolist() for index in np.nonzero(which.T)), strict=True):
        a, b = (
            side.native[row, step] if native[row, step] else float(side.values[row, step])  # type: ignore[index]
            for side, native in zip((left, right), natives, strict=True)
        )
        element = elements(op, a, b)
        note.take(step, element)
        if element.warning or (element.info and element.histogram is None):
            failed[row, step] = True
            continue
        if note.return_bool:
            values[row, step], present[row, step] = float(element.keep), True
        elif element.keep:
            present[row, step] = True
            if element.histogram is not None:
                patches[row, step] = element.histogram
    note.emit()
    return values, present, grid.patched(patches), failed


def _added(op: str, left: Vector, right: Vector, which: Mask) -> tuple[Mask, Grid]:
    """Sums or differences of the histograms at `which` that have one layout and no colliding hints, and where they are.

    A compensated sum of two is their sum.
    """
    if left.native is None or right.native is None:
        return np.zeros(which.shape, np.bool_), Grid.empty(which.shape)
    ours, theirs = left.native.only(which).chosen(), right.native.only(which).chosen()
    if op == "-":
        theirs = scaled(theirs, np.array(-1.0)).with_hints(theirs.columns.hint)
    both, moved = concatenated([ours, theirs])
    count = len(ours)
    pairs = np.stack([np.arange(count), moved[1] + np.arange(count)], axis=1).reshape(-1)
    sets = np.concatenate([np.zeros(1, np.int64), np.cumsum(which.sum(axis=1))])
    status, hints, notes, *rows = kernels.summed(both.columns, pairs, 2 * np.arange(count + 1), sets, False, True)
    computed = status == kernels.DONE
    hint = np.full(int(computed.sum()), GAUGE, np.int32) if op == "-" else hints[computed]
    grid = np.zeros(which.shape, np.bool_)
    grid[which] = computed
    found = Grid.empty(which.shape).filled(grid, histograms_of(both, hint, *rows))
    done = grid.copy()
    done[which] = computed & (notes == 0)
    return done, found.only(done)


class Note:
    """How the result is wanted (`bool`, the scalar on the left), and what the steps have to say."""

    def __init__(self, notes: Notes, place: str, *, return_bool: bool, swapped: bool = False) -> None:
        self.return_bool, self.swapped = return_bool, swapped
        self._notes, self._place = notes, place
        self._last: dict[int, Element] = {}

    def take(self, step: int, element: Element) -> None:
        """Remember an element's annotation, if it has one."""
        if element.warning or element.info:
            self._last[step] = element

    def emit(self) -> None:
        """Pass on the last annotation of every step."""
        for element in self._last.values():
            if element.info:
                self._notes.inform(f"{element.info} {self._place}")
            else:
                self._notes.warn(f"{element.warning} {self._place}")


def elements(op: str, left: Histogram | float, right: Histogram | float) -> Element:
    """`left op right`, at least one of them a histogram."""
    if isinstance(left, Histogram) and isinstance(right, Histogram):
        return _two(op, left, right)
    if isinstance(left, Histogram) and isinstance(right, float):
        if op == "*":
            return Element(left.scaled(right).compacted(), True)
        if op == "/":
            return Element(left.divided(right).compacted(), True)
        if op in TRIM:
            return Element(trimmed(left, right, below=op == "</"), True)
    elif op == "*" and isinstance(left, float) and isinstance(right, Histogram):
        return Element(right.scaled(left).compacted(), True)
    return _incompatible(op, left, right)


def _two(op: str, left: Histogram, right: Histogram) -> Element:
    if op in ("==", "!="):
        return Element(left, left.same_as(right) == (op == "=="))
    if op in ("+", "-"):
        operation: Callable[[Histogram, Histogram], Joined] = arithmetic.add if op == "+" else arithmetic.subtract
        try:
            joined = operation(left, right)
        except MixedSchemasError:
            return Element(None, False, f"incompatible bucket layout encountered for binary operator {op}")
        name = "addition" if op == "+" else "subtraction"
        value = joined.value.compacted() if op == "+" else joined.value.with_hint(GAUGE).compacted()
        if joined.hints_collide:
            return Element(value, True, f"conflicting counter resets during histogram {name}")
        if joined.bounds_reconciled:
            return Element(value, True, info=f"mismatched custom buckets were reconciled during {name}")
        return Element(value, True)
    return _incompatible(op, left, right)


def _incompatible(op: str, left: Histogram | float, right: Histogram | float) -> Element:
    kinds = ["histogram" if isinstance(one, Histogram) else "float" for one in (left, right)]
    return Element(None, False, info=incompatible(op, *kinds))


def incompatible(op: str, left: str, right: str) -> str:
    """The annotation of operands that the operator does not take."""
    return f'incompatible sample types encountered for binary operator "{op}": {left} {op} {right}'
