"""Which calls lost their trace: made-up workloads of which the truth is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from propagation_mesh import MS, T0, Request, Workload, columns, lost_share, node_of, traffic

from windvane.tracing.propagation.judge import Verdict, chance_of_cause, judge_calls, verdict
from windvane.tracing.propagation.serving import Serving


def judged(requests: list[Request], groups: int = 1) -> Verdict:
    found = judge_calls(columns(requests))
    return verdict(found, np.arange(len(found.made)), groups)


@settings(max_examples=25, deadline=None)
@given(
    st.floats(0, 1), st.sampled_from([0.0, 1.0]), st.sampled_from([(5, 20), (20, 50), (40, 200)]), st.integers(0, 10**6)
)
def test_the_share_lost_is_within_the_interval(
    keeps: float, keeps_id: float, load: tuple[float, float], seed: int
) -> None:
    """Whatever the share, the load (up to eight requests at once) and whether the request id helps."""
    workload = Workload(rate=load[0], length_ms=load[1], keeps_trace=keeps, keeps_request_id=keeps_id)
    requests = traffic(workload, seed, seconds=40)
    found = judged(requests)
    share = found.share()
    assert share.low - 0.02 <= lost_share(requests, node_of(workload.name)) <= share.high + 0.02
    assert share.low <= share.value <= share.high or found.unknown
    assert found.seen == (found.lost if keeps_id else 0)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([0.2, 2, 20, 60]), st.sampled_from([5, 50, 300]), st.sampled_from([0, 100, 700]),
    st.booleans(), st.integers(0, 10**6),
)  # fmt: skip
def test_nobody_is_accused_who_forwards(rate: float, length: float, job: float, new_id: bool, seed: int) -> None:
    """Idle or with twenty requests at once, with jobs to the same destination or without."""
    workload = Workload(
        rate=rate, length_ms=length, job_ms=job, keeps_trace=0 if rate < 1 and job else 1, keeps_request_id=not new_id
    )
    requests = traffic(workload, seed, seconds=40)
    if workload.keeps_trace == 0:  # a workload that has jobs alone
        requests = [one for one in requests if one.inbound or not one.lost]
    found = judged(requests)
    assert found.lost == 0
    assert found.status in ("keeps", "unclear", "own")


def test_jobs_of_an_idle_workload_are_its_own() -> None:
    found = judged(
        [one for one in traffic(Workload(rate=1, length_ms=20, job_ms=200), 1) if one.inbound or not one.parent]
    )
    assert (found.status, found.lost, found.unknown) == ("own", 0, 0) or found.unknown < 0.1 * found.calls


def test_what_is_lost_always_busy_is_told_by_numbers() -> None:
    requests = traffic(Workload(rate=80, length_ms=100, keeps_trace=0, keeps_request_id=0), 5)
    found = judge_calls(columns(requests))
    assert found.chance.busy.mean() > 0.99
    assert judged(requests).status == "loses"


def test_a_single_call_is_no_proof_without_the_request_id() -> None:
    inbound = Request(node_of("a.b"), True, T0, 100 * MS, "f" * 32, "r", "inbound|1||")
    call = Request(node_of("a.b"), False, T0 + MS, MS, "e" * 32, "other", "outbound|1||x", lost=True)
    later = dataclasses.replace(inbound, start=T0 + 10_000 * MS, trace="d" * 32)
    assert judged([inbound, call, later]).status == "unclear"
    assert judged([inbound, dataclasses.replace(call, request="r"), later]).seen == 1


def test_a_trace_id_cut_to_64_bits_is_lost_and_told_apart() -> None:
    inbound = Request(node_of("a.b"), True, T0, 100 * MS, "f" * 32, "r", "inbound|1||")
    call = Request(node_of("a.b"), False, T0 + MS, MS, "0" * 16 + "f" * 16, "r", "outbound|1||x")
    last = dataclasses.replace(inbound, start=T0 + 10_000 * MS, trace="d" * 32)
    found = judged([inbound, call, last])
    assert (found.seen, found.shortened, found.continued) == (1, 1, 0)
    short = dataclasses.replace(inbound, trace=call.trace)  # the sidecar had 64 bits itself: nothing was cut
    assert judged([short, call, last]).continued == 1


def test_calls_of_other_proxies_say_nothing() -> None:
    one, other = Workload(name="a-v1.shop"), Workload(name="b-v1.shop", keeps_trace=0, keeps_request_id=0)
    requests = traffic(one, 1) + [call for call in traffic(other, 2) if not call.inbound]
    assert judged(requests).lost == 0


def test_nothing_at_all() -> None:
    found = judged([])
    assert (found.calls, found.status) == (0, "own")
    assert (found.share().low, found.share().high) == (0, 1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 90_000)), max_size=12), st.integers(0, 200_000))
def test_numbers_served_are_those_of_a_plain_count(requests: list[tuple[int, int]], time: int) -> None:
    starts = np.array([start for start, _ in requests], np.int64) * MS
    ends = starts + np.array([length for _, length in requests], np.int64) * MS
    serving, moment = Serving.of(starts, ends), np.array([time], np.int64) * MS
    assert serving.at(moment)[0] == sum(start <= time <= start + length for start, length in requests)
    chance = serving.chance(moment)
    assert 0 <= chance.busy[0] <= 1
    assert chance.variance[0] >= 0
    if requests:
        assert chance.mean[0] <= len(requests)


@pytest.mark.parametrize(("length", "low", "high"), [(10, 0.9, 1.0), (400, 0.0, 0.75)])
def test_how_sure_one_call_is(length: float, low: float, high: float) -> None:
    """Where few requests are served at a time, a call is surely made for one; jobs make it less sure."""
    job = 0.0 if length == 10 else 50.0
    requests = traffic(Workload(rate=5, length_ms=length, keeps_trace=0, keeps_request_id=0, job_ms=job), 3)
    found = judge_calls(columns(requests))
    inside = np.flatnonzero(found.served > 0)
    assert low <= chance_of_cause(found, int(inside[0])) <= high
