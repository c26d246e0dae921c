"""Exposition formats: what is read, what is refused and where, and that repetition changes nothing."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, Summary
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as open_exposition
from prometheus_client.parser import text_string_to_metric_families

from windvane.signals.exposition import (
    NO_TIME,
    Exemplar,
    Exposition,
    ExpositionError,
    FamilyMetadata,
    accept_header,
    protocol_of,
    reader_for,
)
from windvane.signals.exposition.values import canonical, label_number

TEXT, OPEN, PROTO = "PrometheusText0.0.4", "OpenMetricsText1.0.0", "PrometheusProto"


def read(body: bytes | str, protocol: str = TEXT, **options: bool) -> Exposition:
    return reader_for(protocol, **options).read(body.encode() if isinstance(body, str) else body, ())


def samples(found: Exposition) -> list[tuple[dict[str, str], float, int | None]]:
    times = [None] * len(found.keys) if found.times_ms is None else found.times_ms.tolist()
    return [
        (found.fresh[key], value, None if time == NO_TIME else time)
        for key, value, time in zip(found.keys, found.values.tolist(), times, strict=True)
    ]


class TestText:
    def test_plain_series_labels_and_timestamps(self) -> None:
        body = 'a 1\nb{x="1",y="two words",} -2.5e3 1700000000123\n c\t+Inf\n# a comment\n\n d { z = "q" }  4 5 \n'
        assert samples(read(body)) == [
            ({"__name__": "a"}, 1.0, None),
            ({"__name__": "b", "x": "1", "y": "two words"}, -2500.0, 1700000000123),
            ({"__name__": "c"}, math.inf, None),
            ({"__name__": "d", "z": "q"}, 4.0, 5),
        ]

    def test_escapes(self) -> None:
        found = read(r'a{x="\\ \" \n \t"} 1')
        assert samples(found)[0][0]["x"] == '\\ " \n \\t'

    def test_names_in_quotes(self) -> None:
        found = read(
            '{"my.metric","a label"="v","b"="w"} 1\n{"other"} 2\nclassic{"q.r"="s"} 3\n', "PrometheusText1.0.0"
        )
        assert [labels for labels, _, _ in samples(found)] == [
            {"__name__": "my.metric", "a label": "v", "b": "w"},
            {"__name__": "other"},
            {"__name__": "classic", "q.r": "s"},
        ]

    def test_metadata(self) -> None:
        found = read("# HELP a Line one\\nline\\\\two\n# TYPE a counter\n# TYPE b untyped\na 1\n")
        assert found.metadata == {
            "a": FamilyMetadata("counter", "Line one\nline\\two"),
            "b": FamilyMetadata("unknown"),
        }

    def test_bounds_and_quantiles_become_canonical(self) -> None:
        body = (
            "# TYPE h histogram\n" + 'h_bucket{le="1"} 1\nh_bucket{le="+Inf"} 1\n'
            "# TYPE s summary\n" + 's{quantile="0.5"} 1\ns{quantile="1"} 1\n# TYPE g gauge\n' + 'g{le="1"} 1\n'
        )
        found = read(body)
        assert [labels.get("le") or labels.get("quantile") for labels, _, _ in samples(found)] == [
            "1.0", "+Inf", "0.5", "1.0", "1",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ("ok 1\nfoo\n", 'line 2: expected a value, got the end of the line in "foo"'),
            ("foo bar\n", 'line 1: "bar" is not a value in "foo bar"'),
            ("foo 1_000\n", 'line 1: "1_000" is not a value'),
            ("foo 1e999\n", 'line 1: "1e999" is not a value'),
            ("foo -NaN\n", 'line 1: "-NaN" is not a value'),
            ("foo 0x10\n", 'line 1: "0x10" is not a value'),
            ("foo 1\r\n", "line 1: "),
            ("foo 1 x\n", 'line 1: "x" is not a timestamp'),
            ("foo 1 1.5\n", 'line 1: "1.5" is not a timestamp'),
            ("foo 1 2 3\n", "line 1: expected the end of the line"),
            ("foo{a=1} 2\n", "line 1: expected a label value in quotes"),
            ('foo{a="b" 2\n', "line 1: expected a label name"),
            ("foo 1 -5\n", 'line 1: "-5" is not a timestamp'),
            ('foo{a="b\n', "line 1: expected a label value in quotes"),
            ('foo{a="1",a="2"} 3\n', 'line 1: label "a" is not unique in'),
            ('foo{"a"} 1\n', 'line 1: expected "=" after the label name'),
            ('{a="b"} 1\n', "line 1: expected a metric name"),
            ("{} 1\n", "line 1: expected a metric name"),
            ("1foo 1\n", "line 1: expected a metric name"),
            ("foo-bar 1\n", "line 1: expected a blank after the metric name"),
            ("# TYPE foo bogus\n", "line 1: expected a metric type"),
            (b'foo{a="\xff"} 1\n', "line 1: expected valid UTF-8"),
            (b"# HELP foo \xff\n", "line 1: expected valid UTF-8"),
        ],
    )
    def test_refusals_name_the_line(self, body: str | bytes, message: str) -> None:
        with pytest.raises(ExpositionError) as refused:
            read(body)
        assert message in refused.value.message

    def test_labels_need_no_comma_between_them(self) -> None:
        assert samples(read('a{x="1" y="2"} 1\n'))[0][0] == {"__name__": "a", "x": "1", "y": "2"}

    def test_more_blanks_are_read_as_well_the_second_time(self) -> None:
        reader, body = reader_for(TEXT), b'a{x="1"}  1  \nb 2\t\nc\t3\n'
        known = set(reader.read(body, ()).fresh)
        assert reader.read(body, known).values.tolist() == [1.0, 2.0, 3.0]

    def test_samples_before_an_error_are_counted(self) -> None:
        with pytest.raises(ExpositionError) as refused:
            read("a 1\nb 2\nc x\nd 4\n")
        assert (refused.value.line, refused.value.samples) == (3, 2)


class TestRepetition:
    def test_the_same_series_are_the_same_keys(self) -> None:
        reader = reader_for(TEXT)
        first = reader.read(b'# TYPE a counter\na{x="1"} 1\na{x="2"} 2\n', ())
        known = set(first.fresh)
        again = reader.read(b'# TYPE a counter\na{x="1"} 3\na{x="2"} 4\n', known)
        assert again.keys is first.keys
        assert (again.values.tolist(), again.fresh, again.metadata) == ([3, 4], {}, None)

    def test_a_new_series_and_new_metadata_are_seen(self) -> None:
        reader = reader_for(TEXT)
        known = set(reader.read(b"# TYPE a counter\na 1\nb 2\n", ()).fresh)
        more = reader.read(b"# TYPE a gauge\na 1\nc 5\nb 2 99\n", known)
        assert [key.decode() for key in more.keys] == ["a", "c", "b"]
        assert set(more.fresh) == {b"c"}
        assert more.metadata == {"a": FamilyMetadata("gauge")}
        assert more.times_ms is not None
        assert more.times_ms.tolist() == [NO_TIME, NO_TIME, 99]

    def test_a_bad_line_among_known_series_is_found(self) -> None:
        reader = reader_for(TEXT)
        known = set(reader.read(b"a 1\nb 2\n", ()).fresh)
        with pytest.raises(ExpositionError, match="line 2"):
            reader.read(b"a 1\nb 1_0\n", known)

    @given(st.lists(st.tuples(st.sampled_from(["a", "b", 'c{x="1 2"}', 'c{x="\\n"}']), st.floats()), max_size=8))
    @settings(max_examples=60, deadline=None)
    def test_known_or_not_the_result_is_the_same(self, rows: list[tuple[str, float]]) -> None:
        body = "".join(f"{name} {_go(value)}\n" for name, value in rows).encode()
        fresh = reader_for(TEXT).read(body, ())
        reader = reader_for(TEXT)
        known = set(reader.read(b'a 1\nb 1\nc{x="1 2"} 1\nc{x="\\n"} 1\n', ()).fresh)
        again = reader.read(body, known)
        assert list(again.keys) == list(fresh.keys)
        np.testing.assert_array_equal(again.values, fresh.values)


def _go(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return repr(value).replace("inf", "Inf")


class TestOpenMetrics:
    def test_exemplars_times_and_units(self) -> None:
        body = (
            '# TYPE lat_seconds histogram\n# UNIT lat_seconds seconds\n# HELP lat_seconds With \\"quotes\\".\n'
            'lat_seconds_bucket{le="1"} 4 12.5 # {trace_id="a b"} 0.5 1.25\n'
            'lat_seconds_bucket{le="+Inf"} 4 # {} 7\nlat_seconds_count 4\nlat_seconds_created 1.5e9\n# EOF\n'
        )
        found = read(body, OPEN)
        assert samples(found)[0] == ({"__name__": "lat_seconds_bucket", "le": "1.0"}, 4.0, 12500)
        assert found.exemplars == [
            Exemplar(0, {"trace_id": "a b"}, 0.5, 1250),
            Exemplar(1, {}, 7.0, NO_TIME),
        ]
        assert found.metadata == {"lat_seconds": FamilyMetadata("histogram", 'With "quotes".', "seconds")}
        assert len(found.keys) == 4

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ("a 1\n", "line 1: data does not end with # EOF"),
            ("", "data does not end with # EOF"),
            ("a 1\n# EOF\nb 1\n", "line 3: unexpected data after # EOF"),
            ("a 1\n\nb 1\n# EOF\n", "line 2: expected a series or a comment"),
            ("# UNIT a_seconds bytes\n# EOF\n", "line 1: expected a unit that is the suffix"),
            ("# a comment\n# EOF\n", "line 1: expected # HELP"),
            ("a 1 # x\n# EOF\n", "line 1: expected { of an exemplar"),
            ('a 1 # {t="1"}\n# EOF\n', "line 1: expected a value of the exemplar"),
            ('a 1 # {t="1"} x\n# EOF\n', "line 1: expected a value and a timestamp"),
            ("a  1\n# EOF\n", "line 1: expected a value"),
            ("a 1 NaN\n# EOF\n", "line 1: "),
            ("# TYPE a untyped\n# EOF\n", "line 1: expected a metric type"),
            ('a{ b="1"} 1\n# EOF\n', "line 1: expected no blank between labels"),
            ('a{b="1" c="2"} 1\n# EOF\n', "line 1: expected"),
            (" a 1\n# EOF\n", "line 1: expected a metric name"),
            ("#TYPE a counter\n# EOF\n", "line 1: expected # HELP"),
            ("# EOF\n# EOF\n", "line 2: unexpected data after # EOF"),
        ],
    )
    def test_refusals(self, body: str, message: str) -> None:
        with pytest.raises(ExpositionError) as refused:
            read(body, OPEN)
        assert message in refused.value.message


def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    Counter("jobs", 'Jobs "done"\\', ["kind"], registry=made).labels('a"b\nc\\').inc(3)
    Gauge("temperature", "T", registry=made).set(float("nan"))
    histogram = Histogram("latency_seconds", "L", ["path"], registry=made)
    for value in (0.003, 0.3, 30):
        histogram.labels("/x").observe(value, {"trace_id": "abc"})
    Summary("size_bytes", "S", registry=made).observe(2)
    Info("build", "B", registry=made).info({"version": "1"})
    return made


class TestPrometheusClient:
    def test_its_text_is_read_as_it_reads_it(self) -> None:
        body = generate_latest(registry())
        theirs = [
            ({"__name__": one.name, **one.labels}, one.value)
            for family in text_string_to_metric_families(body.decode())
            for one in family.samples
        ]
        ours = [(labels, value) for labels, value, _ in samples(read(body))]
        assert str(sorted(ours, key=str)) == str(sorted(theirs, key=str))

    def test_its_openmetrics_are_read(self) -> None:
        found = read(open_exposition.generate_latest(registry()), OPEN)
        assert found.metadata is not None
        assert found.metadata["latency_seconds"].type == "histogram"
        assert {one.labels["trace_id"] for one in found.exemplars} == {"abc"}
        assert {labels["__name__"] for labels, _, _ in samples(found)} >= {"jobs_total", "jobs_created", "build_info"}


def field(number: int, value: bytes | str | float | int) -> bytes:
    """One protobuf field, by the value's type."""
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value & (1 << 64) - 1)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value: int) -> int:
    return (value << 1) ^ (value >> 63)


def family(name: str, kind: int, *metrics: bytes, unit: str = "") -> bytes:
    data = field(1, name) + field(2, "help") + field(3, kind) + b"".join(field(4, one) for one in metrics)
    data += field(5, unit) if unit else b""
    return varint(len(data)) + data


def pair(name: str, value: str) -> bytes:
    return field(1, field(1, name) + field(2, value))


def native_histogram() -> bytes:
    spans = field(12, field(1, zigzag(-2)) + field(2, 2)) + field(12, field(1, zigzag(1)) + field(2, 1))
    deltas = field(13, b"".join(varint(zigzag(delta)) for delta in (3, -1, 2)))
    classic = field(3, field(1, 5) + field(2, 0.5))
    exemplar = field(16, pair("trace_id", "t") + field(2, 0.25) + field(3, field(1, 10) + field(2, 5_000_000)))
    return (
        field(1, 10) + field(2, 12.5) + field(5, zigzag(3)) + field(6, 0.001) + field(7, 1) + spans + deltas
        + classic + exemplar
    )  # fmt: skip


class TestProtobuf:
    def test_simple_kinds(self) -> None:
        body = (
            family("c_total", 0, pair("a", "1") + field(3, field(1, 3.0) + field(2, pair("t", "x") + field(2, 9.0))))
            + family("g", 1, field(2, field(1, -1.5)) + field(6, 77))
            + family("u", 3, field(5, field(1, 2.0)))
            + family("s", 2, field(4, field(1, 4) + field(2, 8.0) + field(3, field(1, 0.5) + field(2, 1.0))))
        )
        found = read(body, PROTO)
        assert samples(found) == [
            ({"__name__": "c_total", "a": "1"}, 3.0, None),
            ({"__name__": "g"}, -1.5, 77),
            ({"__name__": "u"}, 2.0, None),
            ({"__name__": "s_count"}, 4.0, None),
            ({"__name__": "s_sum"}, 8.0, None),
            ({"__name__": "s", "quantile": "0.5"}, 1.0, None),
        ]
        assert found.exemplars == [Exemplar(0, {"t": "x"}, 9.0, NO_TIME)]
        assert found.metadata is not None
        assert found.metadata["u"] == FamilyMetadata("unknown", "help")

    def test_native_histogram(self) -> None:
        body = family("h", 4, pair("a", "1") + field(7, native_histogram()))
        found = read(body, PROTO, native_histograms=True)
        assert samples(found) == [({"__name__": "h", "a": "1"}, 10.0, None)]
        histogram = found.histograms[0]
        assert (histogram.schema, histogram.count, histogram.sum, histogram.zero_count) == (3, 10, 12.5, 1)
        assert (list(histogram.positive_index), list(histogram.positive_count)) == ([-2, -1, 1], [3, 2, 4])
        assert found.exemplars == [Exemplar(0, {"trace_id": "t"}, 0.25, 10_005)]

    def test_classic_buckets_beside_or_instead(self) -> None:
        body = family("h", 4, field(7, native_histogram()))
        names = ["h_count", "h_sum", "h_bucket", "h_bucket"]
        assert [one[0]["__name__"] for one in samples(read(body, PROTO))] == names
        both = read(body, PROTO, native_histograms=True, classic_histograms=True)
        assert [one[0]["__name__"] for one in samples(both)] == ["h", *names]
        assert [one[0].get("le") for one in samples(both)][-2:] == ["0.5", "+Inf"]

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"\x7f", "metric family 1: truncated message"),
            (family("", 0), "metric family 1: it has no name"),
            (family("x", 9), "metric family 1: x has unknown type 9"),
            (family("a", 0) + family("x", 4, field(7, field(5, zigzag(20)) + field(6, 1.0))), "schema 20"),
            (family("x", 4, field(7, field(12, field(2, 3)))), "do not match"),
            (family("x", 0, pair("a", "1") + pair("a", "2") + field(3, field(1, 1.0))), "has label 'a' twice"),
        ],
    )
    def test_refusals(self, body: bytes, message: str) -> None:
        with pytest.raises(ExpositionError) as refused:
            read(body, PROTO, native_histograms=True)
        assert message in refused.value.message


class TestFuzz:
    @given(st.binary(max_size=200), st.sampled_from([TEXT, OPEN, PROTO]))
    @settings(max_examples=150, deadline=None)
    def test_bytes_are_read_or_refused(self, body: bytes, protocol: str) -> None:
        _read_or_refused(body, protocol)

    @given(st.lists(st.sampled_from([*'{}"=, #\\\n\t', "# TYPE ", "le", "a", "1", "# EOF\n", "é", "NaN"]), max_size=25))
    @settings(max_examples=200, deadline=None)
    def test_nearly_right_text(self, parts: list[str]) -> None:
        for protocol in (TEXT, OPEN):
            _read_or_refused("".join(parts).encode(), protocol)

    @given(st.data())
    @settings(max_examples=100, deadline=None)
    def test_damaged_protobuf(self, data: st.DataObject) -> None:
        body = bytearray(family("h", 4, pair("a", "1") + field(7, native_histogram())))
        for _ in range(data.draw(st.integers(1, 3))):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        _read_or_refused(bytes(body), PROTO)


def _read_or_refused(body: bytes, protocol: str) -> None:
    try:
        found = reader_for(protocol, native_histograms=True).read(body, ())
    except ExpositionError:
        return
    assert len(found.keys) == len(found.values)
    assert set(found.keys) == set(found.fresh)
    assert all(labels.get("__name__") for labels in found.fresh.values())


class TestNegotiation:
    def test_the_first_protocol_is_wanted_most(self) -> None:
        assert accept_header([OPEN, TEXT]) == (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,"
            "*/*;q=0.4"
        )

    def test_content_types(self) -> None:
        assert protocol_of("text/plain; charset=utf-8").startswith("PrometheusText")
        assert protocol_of("application/openmetrics-text; version=1.0.0").startswith("OpenMetricsText")
        proto = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
        assert protocol_of(proto) == PROTO
        assert protocol_of("text/html", TEXT) == TEXT
        with pytest.raises(ExpositionError, match='unsupported Content-Type "text/html"'):
            protocol_of("text/html")
        with pytest.raises(ExpositionError, match="blank Content-Type"):
            protocol_of("")

    @pytest.mark.parametrize(
        ("given_text", "wanted"),
        [
            ("1", "1.0"),
            ("0.005", "0.005"),
            ("1e6", "1e+06"),
            ("2500000", "2.5e+06"),
            ("999999", "999999.0"),
            ("-0.00012", "-0.00012"),
            ("inf", "+Inf"),
            ("x", "x"),
            ("1e-7", "1e-07"),
        ],
    )
    def test_label_numbers(self, given_text: str, wanted: str) -> None:
        assert canonical(given_text) == wanted
        assert label_number(1e21) == "1e+21"
