"""The scan of remote write: what it finds is what the request holds, whichever way samples are written."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from remote_write_messages import request_v1, request_v2

from windvane.ingest.series_table import arranged
from windvane.kit.errors import BadInputError
from windvane.signals.remote_write.scan import V1, V2, scan

BUILD = {V1: request_v1, V2: request_v2}
# Times of five, six, seven and ten bytes, and none at all.
TIMES = st.one_of(
    st.integers(1_600_000_000_000, 1_900_000_000_000),
    st.sampled_from([0, 1, (1 << 35) - 1, 1 << 35, (1 << 42) - 1, 1 << 42, -1, (1 << 63) - 1]),
)
VALUES = st.integers(0, (1 << 64) - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0])
SERIES = st.fixed_dictionaries(
    {
        "labels": st.dictionaries(st.text(max_size=9), st.text(max_size=20), max_size=3),
        "samples": st.lists(st.tuples(TIMES, VALUES), max_size=5),
    }
)


@pytest.mark.parametrize("version", [V1, V2])
@settings(deadline=None)
@given(series=st.lists(SERIES, max_size=5))
def test_samples_and_labels_are_those_of_the_message(version: int, series: list[dict[str, Any]]) -> None:
    found = scan(BUILD[version](series), version)
    wanted = [sample for one in series for sample in one["samples"]]
    assert found.times.tolist() == [time for time, _ in wanted]
    assert found.values.tobytes() == struct.pack(f"<{len(wanted)}d", *(value for _, value in wanted))
    assert np.diff(found.ends).tolist() == [len(one["samples"]) for one in series]
    for number, one in enumerate(series):
        assert found.labels(number) == [(k.encode(), v.encode()) for k, v in sorted(one["labels"].items())]


def test_fields_nobody_knows_between_usual_samples() -> None:
    usual = b"\x12\x10\x09" + struct.pack("<d", 1.5) + b"\x10\x80\xd0\x95\xff\xbc\x31"
    other = b"\x12\x12\x09" + struct.pack("<d", 2.5) + b"\x18\x07\x10\x80\xd0\x95\xff\xbc\x31"
    body = usual + b"\x7a\x03abc" + other + usual + b"\x12\x00"
    found = scan(b"\x0a" + bytes([len(body)]) + body, V1)
    assert found.values.tolist() == [1.5, 2.5, 1.5, 0.0]
    assert found.times.tolist() == [1_700_000_000_000] * 3 + [0]


@settings(deadline=None)
@given(series=st.lists(SERIES, min_size=1, max_size=3), data=st.data())
def test_a_damaged_request_is_read_or_refused(series: list[dict[str, Any]], data: st.DataObject) -> None:
    body = bytearray(request_v1(series))
    for _ in range(data.draw(st.integers(1, 3))):
        if body:
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(body[: data.draw(st.integers(0, len(body)))])
    try:
        found = scan(cut, V1)
    except BadInputError:
        return
    assert found.ends[-1] == len(found.times)
    for number in range(len(found.series)):
        try:
            found.labels(number)
        except BadInputError:
            continue


@settings(deadline=None)
@given(counts=st.lists(st.integers(0, 4), max_size=8), data=st.data())
def test_samples_are_arranged_by_series(counts: list[int], data: st.DataObject) -> None:
    ids = np.array(data.draw(st.permutations(range(len(counts)))), np.uint64)
    ends = np.cumsum([0, *counts])
    times, values = np.arange(ends[-1]), np.arange(ends[-1]) / 2
    order = np.argsort(ids, kind="stable")
    each, moments, numbers = arranged(order, ends, ids, times, values)
    wanted = sorted(zip(np.repeat(ids, counts).tolist(), times.tolist(), values.tolist(), strict=True))
    assert list(zip(each.tolist(), moments.tolist(), numbers.tolist(), strict=True)) == wanted
