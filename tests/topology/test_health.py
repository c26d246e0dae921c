"""Kiali's health rules: thresholds, protocols, directions, reporters, replicas."""

from __future__ import annotations

import re

import pytest

from windvane.topology.health import Replicas, RequestHealth, Status, Tolerance, edge_status, judge, more_seen


@pytest.mark.parametrize(
    ("rates", "verdict"),
    [
        ({}, Status.NA),
        ({"http": {}}, Status.NA),
        ({"http": {"200": 10}}, Status.Healthy),
        ({"http": {"200": 999, "500": 1}}, Status.Degraded),
        ({"http": {"200": 91, "500": 9}}, Status.Degraded),
        ({"http": {"200": 9, "502": 1}}, Status.Failure),
        ({"http": {"200": 91, "404": 9}}, Status.Healthy),
        ({"http": {"200": 9, "404": 1}}, Status.Degraded),
        ({"http": {"200": 8, "404": 1, "429": 1}}, Status.Failure),
        ({"http": {"200": 999, "-": 1}}, Status.Degraded),
        ({"grpc": {"0": 999, "14": 1}}, Status.Degraded),
        ({"grpc": {"0": 9, "-": 1}}, Status.Failure),
        ({"grpc": {"0": 9, "17": 1}}, Status.Healthy),
        ({"grpc": {"0": 10, "500": 10}}, Status.Healthy),
        ({"http": {"200": 10}, "grpc": {"0": 1, "2": 1}}, Status.Failure),
    ],
)
def test_default_tolerances(rates, verdict) -> None:
    assert judge(rates, "inbound") is verdict


def test_the_worse_direction_counts() -> None:
    assert RequestHealth({"http": {"200": 1}}, {"http": {"200": 9, "503": 1}}).status() is Status.Failure
    only_sending = Tolerance(re.compile("404"), 0, 10, re.compile("http"), re.compile("outbound"))
    assert judge({"http": {"404": 1}}, "inbound", [only_sending]) is Status.NA
    assert judge({"http": {"404": 1}}, "outbound", [only_sending]) is Status.Failure
    assert edge_status({"http": {"404": 1}}, [only_sending]) is Status.Failure
    assert edge_status({"http": {"200": 1}}) is Status.Healthy


def test_of_two_reporters_the_one_that_saw_more() -> None:
    merged = more_seen({"http": {"200": 5, "503": 1}}, {"http": {"200": 6}, "grpc": {"0": 1}})
    assert merged == {"http": {"200": 6, "503": 1}, "grpc": {"0": 1}}


@pytest.mark.parametrize(
    ("replicas", "verdict"),
    [
        (Replicas(0, 0, 0), Status.NotReady),
        (Replicas(3, 3, 3), Status.Healthy),
        (Replicas(3, 3, 2), Status.Degraded),
        (Replicas(3, 2, 3), Status.Degraded),
        (Replicas(3, 3, 0), Status.Failure),
        (Replicas(3, 4, 3), Status.Failure),
        (Replicas(3, 3, 3, synced_proxies=2), Status.Degraded),
        (Replicas(3, 3, 3, synced_proxies=3), Status.Healthy),
    ],
)
def test_workload_replicas(replicas: Replicas, verdict: Status) -> None:
    assert replicas.status() is verdict
