"""The order of result series is that of their label sets as lists of pairs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from windvane.promql.labels import Labels, Pool

_sets = st.lists(
    st.dictionaries(st.sampled_from(["__name__", "a", "b", "c", "é"]), st.sampled_from(["", "1", "10", "2", "x", "é"])),
    max_size=12,
)


@given(_sets)
def test_series_are_ordered_by_their_labels(sets: list[dict[str, str]]) -> None:
    labels = Labels.of(Pool(), sets)
    pairs = [tuple(one.items()) for one in labels.dicts()]
    assert labels.order().tolist() == sorted(range(len(pairs)), key=pairs.__getitem__)
