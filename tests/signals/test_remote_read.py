"""Remote read on the wire: requests decoded, samples and chunks encoded."""

from __future__ import annotations

import contextlib
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.kit.errors import BadInputError
from windvane.signals import protobuf
from windvane.signals.native_histograms import NativeHistogram
from windvane.signals.remote_read.chunks import crc32c, encode
from windvane.signals.remote_read.histograms import read_histogram
from windvane.signals.remote_read.request import LabelMatcher, ReadQuery, ResponseType, decode
from windvane.signals.remote_read.response import Series, chunked_response, samples_response, warm
from windvane.signals.remote_write import details

promtool = pytest.mark.skipif(
    subprocess.run(["which", "promtool"], capture_output=True, check=False).returncode != 0, reason="no promtool"
)


def field(number: int, data: bytes) -> bytes:
    assert len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


MATCHER = b"\x08\x02" + field(2, b"job") + field(3, b"a.*")


def test_a_request_is_its_queries_and_the_response_types_that_are_known() -> None:
    query = b"\x08\x05\x10\x07" + field(3, field(2, b"__name__") + field(3, b"up")) + field(3, MATCHER)
    request = decode(field(1, query) + b"\x10\x09\x10\x01")
    assert request.accepted == (ResponseType.STREAMED_XOR_CHUNKS,)
    assert request.queries == (ReadQuery(5, 7, (LabelMatcher(0, "__name__", "up"), LabelMatcher(2, "job", "a.*"))),)
    assert decode(field(1, query)).accepted == (ResponseType.SAMPLES,)
    both = decode(field(1, query) + field(2, b"\x00\x01")).accepted
    assert both == (ResponseType.SAMPLES, ResponseType.STREAMED_XOR_CHUNKS)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\x10\x09", "does not support any of the requested response types"),
        (field(1, field(3, b"\x08\x04")), "invalid matcher type 4"),
        (field(1, field(3, field(2, b"\xff"))), "no UTF-8"),
        (b"\x0a\x05\x08", "reaches beyond"),
        (b"\x08\x01", "expected bytes"),
        (field(1, b"") * 1001, "more than 1000 queries"),
    ],
)
def test_what_is_no_request_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(BadInputError, match=reason):
        decode(raw)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(raw: bytes) -> None:
    with contextlib.suppress(BadInputError):
        decode(raw)


TIMES = np.array([-1500, 0, 1_700_000_000_000, 1_700_000_015_000])
VALUES = np.array([1.5, float("nan"), -0.0, float("inf")])


def test_samples_are_messages_of_value_and_time() -> None:
    series = Series([{"__name__": "a", "x": "1"}, {"__name__": "b"}], np.array([0, 3, 4]), TIMES, VALUES)
    empty = Series([], np.zeros(1, np.int64), TIMES[:0], VALUES[:0])
    results = [protobuf.block(value) for _, _, value in protobuf.fields(samples_response([series, empty]))]
    assert results[1] == b""
    found = [_series(protobuf.block(value)) for _, _, value in protobuf.fields(results[0])]
    assert [labels for labels, _ in found] == [{"__name__": "a", "x": "1"}, {"__name__": "b"}]
    assert [time for _, samples in found for time, _ in samples] == TIMES.tolist()
    assert [struct.pack("<d", value) for _, samples in found for _, value in samples] == [
        struct.pack("<d", value) for value in VALUES.tolist()
    ]


def _series(raw: bytes) -> tuple[dict[str, str], list[tuple[int, float]]]:
    labels, samples = {}, []
    for number, _, value in protobuf.fields(raw):
        inner = {key: one for key, _, one in protobuf.fields(protobuf.block(value))}
        if number == 1:
            labels[protobuf.text(inner[1])] = protobuf.text(inner[2])
        else:
            samples.append((protobuf.signed(inner[2]), protobuf.double(inner[1])))
    return labels, samples


class Bits:
    """Reads a chunk back, as the format's description says."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = int.from_bytes(data, "big"), 0
        self._length = 8 * len(data)

    def take(self, count: int) -> int:
        self._at += count
        return self._data >> (self._length - self._at) & ((1 << count) - 1)

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(8)
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value


def decoded(data: bytes) -> Iterator[tuple[int, int]]:
    """(time, bits of the value) of every sample."""
    bits = Bits(data)
    count, first = bits.take(16), bits.varint()
    time, value, delta, leading, trailing = (first >> 1) ^ -(first & 1), bits.take(64), 0, 0, 0
    yield time, value
    for place in range(1, count):
        delta = bits.varint() if place == 1 else delta + _change(bits)
        time += delta
        if bits.take(1):
            if bits.take(1):
                leading, width = bits.take(5), bits.take(6) or 64
                trailing = 64 - leading - width
            value ^= bits.take(64 - leading - trailing) << trailing
        yield time, value


def _change(bits: Bits) -> int:
    width = next((size for size in (0, 14, 17, 20) if not bits.take(1)), 64)
    raw = bits.take(width) if width else 0
    return raw - (1 << width) if width and raw > 1 << (width - 1) else raw


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(1, 10**9) | st.sampled_from([15_000, 15_001, 8192, 65536, 524288, 10**12]), max_size=300),
    st.integers(-(10**13), 10**13),
    st.data(),
)
def test_chunks_hold_what_was_put_into_them(steps: list[int], start: int, data: st.DataObject) -> None:
    times = start + np.cumsum(np.array([0, *steps], np.int64))
    few = st.sampled_from([0.0, 1.0, 1.5, -1.0, float("nan"), 5e-324])
    drawn = data.draw(st.lists(few | st.floats(), min_size=8, max_size=8))
    values = np.resize(np.array(drawn), len(times))
    chunks = encode(times, values)
    assert [(first, last) for first, last, _ in chunks] == [
        (int(times[at]), int(times[min(at + 119, len(times) - 1)])) for at in range(0, len(times), 120)
    ]
    found = [sample for _, _, chunk in chunks for sample in decoded(bytes(chunk))]
    assert found == list(zip(times.tolist(), values.view(np.uint64).tolist(), strict=True))


@promtool
def test_chunks_are_those_that_prometheus_makes(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    times = 1_700_000_000_000 + np.cumsum(rng.integers(14_000, 16_000, 120))
    walks = {
        "counter": np.cumsum(rng.integers(0, 100, 120)).astype(float),
        "gauge": np.round(rng.normal(20, 3, 120), 2),
        "noise": rng.random(120),
        "same": np.ones(120),
    }
    lines = [
        f"{name} {value!r} {time / 1000:.3f}\n"
        for name, values in walks.items()
        for time, value in zip(times.tolist(), values.tolist(), strict=True)
    ]
    text = tmp_path / "samples.om"
    text.write_text("".join(lines) + "# EOF\n")
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(tmp_path / "data")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    stored = b"".join(file.read_bytes()[8:] for file in sorted((tmp_path / "data").glob("*/chunks/*")))
    theirs = list(_stored_chunks(stored))
    for name, values in walks.items():
        for _, _, chunk in encode(times, values):
            if bytes(chunk) not in theirs:  # a block begins every two hours: one chunk may be two
                pieces = [one for one in theirs if _within(one, times, values)]
                assert sum(len(list(decoded(one))) for one in pieces) == 120, name


def _within(chunk: bytes, times: np.ndarray, values: np.ndarray) -> bool:
    """Whether a stored chunk is, byte for byte, what we make of the same stretch of samples."""
    found = list(decoded(chunk))
    first = int(np.searchsorted(times, found[0][0]))
    part = slice(first, first + len(found))
    return bytes(encode(times[part], values[part])[0][2]) == chunk


def _stored_chunks(raw: bytes) -> Iterator[bytes]:
    while raw:
        size, place = protobuf.varint(raw, 0)
        assert raw[place] == 1
        yield raw[place + 1 : place + 1 + size]
        raw = raw[place + 1 + size + 4 :]


def test_a_stream_is_of_frames_with_checksums() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    times = np.arange(500) * 15_000
    one = Series([{"a": "1"}, {"a": "2"}], np.array([0, 300, 500]), times, np.arange(500.0))
    none = Series([], np.zeros(1, np.int64), times[:0], np.zeros(0))
    stream = b"".join(chunked_response([one, none, one]))
    samples: dict[int, list[tuple[int, int]]] = {}
    while stream:
        size, place = protobuf.varint(stream, 0)
        checksum, message = stream[place : place + 4], stream[place + 4 : place + 4 + size]
        assert crc32c(message) == int.from_bytes(checksum, "big")
        stream = stream[place + 4 + size :]
        parts = list(protobuf.fields(message))
        index = next(protobuf.whole(value) for number, _, value in parts if number == 2)
        for _, _, series in (part for part in parts if part[0] == 1):
            for number, _, value in protobuf.fields(protobuf.block(series)):
                if number == 2:
                    chunk = {key: inner for key, _, inner in protobuf.fields(protobuf.block(value))}
                    found = list(decoded(protobuf.block(chunk[4])))
                    assert (chunk[1], chunk[2], chunk[3]) == (found[0][0], found[-1][0], 1)
                    samples.setdefault(index, []).extend(found)
    expected = list(zip(times.tolist(), np.arange(500.0).view(np.uint64).tolist(), strict=True))
    assert samples == {0: expected, 2: expected}


def test_kernels_can_be_compiled_ahead() -> None:
    warm()


def test_a_long_series_is_several_frames() -> None:
    rng = np.random.default_rng(1)
    count = 400_000
    series = Series([{"a": "1"}], np.array([0, count]), np.arange(count) * 1000, rng.random(count))
    frames = list(chunked_response([series]))
    assert len(frames) > 2
    assert all(len(frame) < 1_100_000 for frame in frames)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.integers(-100, 100), st.integers(0, 2**40) | st.floats(0, 1e300), max_size=8),
    st.dictionaries(st.integers(-100, 100), st.integers(0, 2**40), max_size=8),
    st.integers(-(10**13), 10**13),
)
def test_histograms_are_read_back_as_they_were(
    positive: dict[int, float], negative: dict[int, float], time: int
) -> None:
    def side(buckets: dict[int, float]) -> tuple[np.ndarray, np.ndarray]:
        some = sorted(buckets.items())
        return np.array([key for key, _ in some], np.int32), np.array([value for _, value in some], np.float64)

    total = float(sum(positive.values()) + sum(negative.values()) + 3)
    one = NativeHistogram(2, 3, False, 1e-9, 3.0, total, -1.5, *side(positive), *side(negative))
    message = read_histogram(one, time)
    found = details.histogram(message)
    assert details.histogram_time(message) == time
    assert (found.schema, found.hint, found.zero_threshold, found.zero_count) == (2, 3, 1e-9, 3.0)
    assert (found.sum, found.count) == (-1.5, total)
    for name in ("positive_index", "positive_count", "negative_index", "negative_count"):
        assert getattr(one, name).tolist() == getattr(found, name).tolist()


def test_bounds_of_a_histogram_and_a_staleness_marker() -> None:
    counts = np.array([1.5, 2.0])
    one = NativeHistogram(-53, 0, True, 0.0, 0.0, 3.5, 9.0, np.array([0, 2], np.int32), counts,
                          custom_bounds=np.array([0.5, 1.0, 2.0]))  # fmt: skip
    found = details.histogram(read_histogram(one, 5))
    assert (found.custom_bounds.tolist(), found.positive_index.tolist(), found.is_float) == ([0.5, 1, 2], [0, 2], True)
    ended = details.histogram(read_histogram(None, 7))
    assert struct.pack("<d", ended.sum) == struct.pack("<Q", 0x7FF0000000000002)
