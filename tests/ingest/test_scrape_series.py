"""What a scrape stores: labels, limits, timestamps, duplicates, staleness markers, native histograms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from windvane.ingest.scrape.config import loads
from windvane.ingest.scrape.native import reduced
from windvane.ingest.scrape.nhcb import Converter
from windvane.ingest.scrape.relabel import Relabeller
from windvane.ingest.scrape.series import Block, Counts, SampleError, SeriesCache
from windvane.signals.exposition import FamilyMetadata, NativeHistogram, Reader, reader_for
from windvane.store.series import STALE_BITS, series_id

AT = 1_700_000_000_000
TARGET = {"instance": "h:1", "job": "j"}


class Target:
    """A target scraped by hand."""

    def __init__(self, job: str = "") -> None:
        self.config = loads(f"scrape_configs: [{{job_name: j{job}}}]").scrape_configs[0]
        self.cache = SeriesCache(self.config, TARGET, Relabeller(self.config.metric_relabel_configs))
        self.reader: Reader = reader_for("OpenMetricsText1.0.0" if "open" in job else "PrometheusText0.0.4")
        self.names: dict[int, str] = {}

    def scrape(self, body: str, at_ms: int = AT) -> tuple[Block, Counts]:
        block, counts = self.cache.apply(self.reader.read(body.encode(), self.cache.rows), at_ms)
        self._remember(block)
        return block, counts

    def fail(self, at_ms: int) -> dict[str, object]:
        return self.shown(self.cache.fail(at_ms))

    def _remember(self, block: Block) -> None:
        for labels, _ in block.announce:
            own = {name: value for name, value in labels.items() if name not in {*TARGET, "__name__"}}
            self.names[series_id(labels)] = labels["__name__"] + (str(own) if own else "")

    def shown(self, block: Block) -> dict[str, object]:
        """Values by series, staleness markers as STALE."""
        stale = block.values.view(np.uint64) == STALE_BITS
        return {
            self.names[series]: "STALE" if ended else value
            for series, value, ended in zip(block.ids.tolist(), block.values.tolist(), stale.tolist(), strict=True)
        }

    def values(self, body: str, at_ms: int = AT) -> dict[str, object]:
        return self.shown(self.scrape(body, at_ms)[0])


class TestLabels:
    def test_the_target_wins_unless_labels_are_honoured(self) -> None:
        body = 'a{job="own",instance="",exported_job="x",k="v"} 1\n'
        target = Target()
        announced = target.scrape(body)[0].announce
        assert announced == [
            (dict(sorted({"__name__": "a", **TARGET, "exported_job": "x", "exported_exported_job": "own",
                          "k": "v"}.items())), AT)
        ]  # fmt: skip
        honoured = Target(", honor_labels: true").scrape(body)[0].announce[0][0]
        assert honoured == {"__name__": "a", "exported_job": "x", "job": "own", "k": "v"}

    def test_metric_relabelling(self) -> None:
        target = Target(
            ", metric_relabel_configs: [{source_labels: [__name__], regex: 'go_.*', action: drop}, "
            "{source_labels: [x], target_label: y}, {regex: x, action: labeldrop}]"
        )
        block, counts = target.scrape('go_gc 1\na{x="1"} 2\n')
        assert target.shown(block) == {"a{'y': '1'}": 2.0}
        assert (counts.scraped, counts.kept, counts.added) == (2, 1, 1)
        assert target.scrape('go_gc 1\na{x="1"} 2\n')[1] == Counts(2, 1, 0)

    @pytest.mark.parametrize(
        ("job", "body", "message"),
        [
            (", sample_limit: 1", "a 1\nb 2\n", "sample limit exceeded"),
            (", label_limit: 3", 'a{x="1"} 1\n', "label_limit exceeded (metric: a, number of labels: 4, limit: 3)"),
            (", label_name_length_limit: 10", 'a{x12345678901="1"} 1\n', "label_name_length_limit exceeded"),
            (", label_value_length_limit: 4", 'a{x="12345"} 1\n', "label_value_length_limit exceeded"),
            (", metric_name_validation_scheme: legacy", '{"a.b"} 1\n', "invalid metric name or label names: a.b"),
            (", metric_relabel_configs: [{target_label: __name__, replacement: ''}]", "a 1\n", "missing metric name"),
        ],
    )
    def test_limits_fail_the_whole_scrape(self, job: str, body: str, message: str) -> None:
        with pytest.raises(SampleError) as refused:
            Target(job).scrape(body)
        assert message in refused.value.message

    def test_samples_over_the_limit_are_counted(self) -> None:
        with pytest.raises(SampleError) as refused:
            Target(", sample_limit: 1").scrape("a 1\nb 2\nc 3\n")
        assert refused.value.counts == Counts(3, 3, 3)


class TestStaleness:
    def test_a_series_that_vanishes_ends_once(self) -> None:
        target = Target()
        target.scrape("a 1\nb 2\n")
        assert target.values("a 1\n", AT + 1) == {"a": 1.0, "b": "STALE"}
        assert target.values("a 1\n", AT + 2) == {"a": 1.0}
        assert target.values("a 1\nb 3\n", AT + 3) == {"a": 1.0, "b": 3.0}

    def test_a_failed_scrape_ends_all(self) -> None:
        target = Target()
        target.scrape("a 1\nb 2\n")
        assert target.fail(AT + 1) == {"a": "STALE", "b": "STALE"}
        assert target.fail(AT + 2) == {}
        assert target.values("a 1\nb 2\n", AT + 3) == {"a": 1.0, "b": 2.0}

    def test_series_with_timestamps_do_not_end_unless_wanted(self) -> None:
        body = f"a 1 {AT}\nb 2\n"
        target = Target()
        target.scrape(body)
        assert target.fail(AT + 1) == {"b": "STALE"}
        tracking = Target(", track_timestamps_staleness: true")
        tracking.scrape(body)
        assert tracking.fail(AT + 1) == {"a": "STALE", "b": "STALE"}

    def test_a_marker_is_never_taken_from_a_target(self) -> None:
        target = Target()
        block, _ = target.scrape("a NaN\n")
        assert math.isnan(block.values[0])
        assert block.values.view(np.uint64)[0] != STALE_BITS

    def test_another_loop_of_the_target_goes_on(self) -> None:
        before, after = Target(), Target()
        before.scrape("a 1\nb 2\n")
        after.names = before.names
        after.cache.take_over(before.cache)
        assert after.values("a 5\n", AT + 1) == {"a": 5.0, "b": "STALE"}


class TestTimes:
    def test_own_timestamps_are_stored_once(self) -> None:
        target = Target()
        body = f"a 1 {AT - 5}\nb 2\n"
        assert target.scrape(body)[0].times_ms.tolist() == [AT - 5, AT]
        again, counts = target.scrape(body, AT + 1)
        assert again.times_ms.tolist() == [AT + 1]
        assert counts.out_of_order == 0
        older, counts = target.scrape(f"a 1 {AT - 9}\nb 2\n", AT + 2)
        assert (older.times_ms.tolist(), counts.out_of_order) == ([AT + 2], 1)

    def test_times_far_away_are_dropped(self) -> None:
        block, counts = Target().scrape(f"a 1 {AT + 700_000}\nb 2 {AT - 4_000_000}\nc 3 {AT + 1}\n")
        assert (block.times_ms.tolist(), counts.out_of_bounds) == ([AT + 1], 2)

    def test_times_may_be_ignored(self) -> None:
        block, _ = Target(", honor_timestamps: false").scrape(f"a 1 {AT - 5}\n")
        assert block.times_ms.tolist() == [AT]

    def test_one_series_at_several_times(self) -> None:
        block, counts = Target().scrape(f"a 1 {AT}\na 2 {AT + 1}\na 3 {AT + 1}\na 4 {AT - 1}\n")
        assert (block.values.tolist(), counts.duplicate, counts.out_of_order) == ([1.0, 2.0], 1, 1)

    def test_the_first_of_two_samples_counts(self) -> None:
        target = Target(", metric_relabel_configs: [{regex: x, action: labeldrop}]")
        block, counts = target.scrape('a{x="1"} 1\na{x="2"} 2\nb 3\n')
        assert (target.shown(block), counts.duplicate, counts.kept) == ({"a": 1.0, "b": 3.0}, 1, 3)

    def test_series_are_announced_every_hour(self) -> None:
        target = Target()
        assert len(target.scrape("a 1\n")[0].announce) == 1
        assert target.scrape("a 1\n", AT + 3_600_000)[0].announce == []
        assert len(target.scrape("a 1\n", AT + 3_600_001)[0].announce) == 1


class TestMemory:
    def test_texts_that_are_gone_are_forgotten(self) -> None:
        target = Target()
        for turn in range(6):
            lines = "".join(f'a{{x="{turn}-{i}"}} 1\n' for i in range(500))
            target.scrape("keep 1\n" + lines, AT + turn)
            assert len(target.cache.rows) <= 2 * 501 + 1000 + 501
        assert target.values("keep 7\n", AT + 10)["keep"] == 7.0
        assert len(target.cache.rows) <= 1002


class TestExemplars:
    def test_an_exemplar_is_stored_once(self) -> None:
        target = Target()
        target.reader = reader_for("OpenMetricsText1.0.0")
        body = 'a_total 1 # {trace_id="t"} 0.5\n# EOF\n'
        first = target.scrape(body)[0]
        assert first.exemplars == [(first.ids[0], AT, 0.5, {"trace_id": "t"})]
        assert target.scrape(body, AT + 1)[0].exemplars == []
        other = target.scrape('a_total 1 # {trace_id="u"} 0.5 1700000000.5\n# EOF\n', AT + 2)[0]
        assert [one[1] for one in other.exemplars] == [1_700_000_000_500]


class TestNativeHistograms:
    def test_buckets_are_merged_down_to_the_limit(self) -> None:
        histogram = NativeHistogram(3, 10, 1, positive_index=[-3, -2, -1, 0, 1, 2], positive_count=[1, 1, 2, 2, 3, 1])
        assert reduced(histogram, 0, 0) is histogram
        coarse = reduced(histogram, 4, 0)
        assert coarse is not None
        assert (coarse.schema, coarse.positive_index, coarse.positive_count) == (2, [-1, 0, 1], [2, 4, 4])
        assert reduced(NativeHistogram(-53, 1, 1, positive_index=[0, 1], positive_count=[1, 1]), 1, 0) is None

    def test_the_smallest_factor_bounds_the_schema(self) -> None:
        histogram = NativeHistogram(8, 1, 1, positive_index=[5], positive_count=[1])
        for factor, schema in ((1.09, 3), (1.1, 2), (2.0, 0), (4.0, -1)):
            found = reduced(histogram, 0, factor)
            assert found is not None
            assert found.schema == schema
            assert 2**2.0**-found.schema >= factor

    def test_classic_histograms_become_native(self) -> None:
        body = (
            "# TYPE h histogram\n"
            'h_bucket{le="1",x="y"} 2\nh_bucket{le="5",x="y"} 2\nh_bucket{le="+Inf",x="y"} 7\n'
            'h_sum{x="y"} 3.5\nh_count{x="y"} 7\nother 1\n'
        )
        converter = Converter(keep_classic=False)
        found = reader_for("PrometheusText0.0.4").read(body.encode(), converter.known)
        made = converter.convert(found, {"h": FamilyMetadata("histogram")}, ())
        assert [labels["__name__"] for labels in made.fresh.values()] == ["other", "h"]
        assert made.histograms == {
            1: NativeHistogram(
                -53, 7.0, 3.5, positive_index=[0, 2], positive_count=[2.0, 5.0], custom_bounds=[1.0, 5.0]
            )
        }
        both = Converter(keep_classic=True)
        found = reader_for("PrometheusText0.0.4").read(body.encode(), both.known)
        assert len(both.convert(found, {"h": FamilyMetadata("histogram")}, ()).keys) == 7

    def test_a_native_series_ends_with_a_native_marker(self) -> None:
        target = Target(", convert_classic_histograms_to_nhcb: true")
        converter = Converter(keep_classic=False)
        body = b'# TYPE h histogram\nh_bucket{le="+Inf"} 7\nh_sum 3.5\nh_count 7\n'
        read = target.reader.read(body, converter.known)
        block, _ = target.cache.apply(converter.convert(read, {"h": FamilyMetadata("histogram")}, ()), AT)
        assert (len(block.ids), len(block.histograms)) == (0, 1)
        ended = target.cache.fail(AT + 1)
        assert len(ended.ids) == 0
        assert np.array(ended.histograms[0][2].sum).view(np.uint64) == STALE_BITS
