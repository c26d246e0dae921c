"""Damaged messages for fuzzing."""

from __future__ import annotations

from hypothesis import strategies as st


@st.composite
def mutated(draw: st.DrawFn, message: bytes) -> bytes:
    """A valid message with a few bytes changed, removed, doubled, or put elsewhere."""
    data = bytearray(message)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.integers(0, 4)):
            case 0:
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                del data[at : at + draw(st.integers(1, 20))]
            case 2:
                data[at:at] = draw(st.binary(max_size=12))
            case 3:
                data += data[at : at + draw(st.integers(1, 60))]
            case _:
                del data[at:]
    return bytes(data)
