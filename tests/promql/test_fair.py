"""Concurrent queries share the machine, and end when nobody waits for them."""

from __future__ import annotations

import threading
import time

import pytest

from windvane.promql.cancel import Stop
from windvane.promql.errors import QueryCancelledError, QueryTimeoutError
from windvane.promql.fair import Gate, Ticket


class Hands:
    """A clock that moves by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def until(condition: object) -> None:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.001)
    assert condition()  # type: ignore[operator]


def enter(gate: Gate, name: str, order: list[str]) -> tuple[Ticket, threading.Thread]:
    """A query that waits for a place in a thread, then notes its name."""
    ticket = gate.ticket()

    def run() -> None:
        gate.enter(ticket, lambda: None)
        order.append(name)

    thread = threading.Thread(target=run)
    thread.start()
    return ticket, thread


def test_a_long_query_lets_short_ones_pass_between_its_pieces() -> None:
    clock, order = Hands(), list[str]()
    gate = Gate(1, slice_seconds=0.02, clock=clock)
    heavy = gate.ticket()
    gate.enter(heavy, lambda: None)
    clock.now = 0.01
    light, waits = enter(gate, "light", order)
    until(lambda: gate.waiting == 1)
    gate.give_way(heavy, lambda: None)  # its slice is not over
    assert order == []
    clock.now = 5.0
    gives = threading.Thread(target=gate.give_way, args=(heavy, lambda: None))
    gives.start()
    waits.join()
    assert order == ["light"]
    assert not heavy.working
    gate.leave(light)
    gives.join()
    assert heavy.working
    assert heavy.served == 5.0


def test_who_has_had_least_goes_first() -> None:
    clock, order = Hands(), list[str]()
    gate = Gate(1, clock=clock)
    first = gate.ticket()
    gate.enter(first, lambda: None)
    old = gate.ticket()
    old.served = 3.0
    waits = threading.Thread(target=lambda: (gate.enter(old, lambda: None), order.append("old")))
    waits.start()
    until(lambda: gate.waiting == 1)
    new, too = enter(gate, "new", order)
    until(lambda: gate.waiting == 2)
    gate.leave(first)
    too.join()
    gate.leave(new)
    waits.join()
    assert order == ["new", "old"]


def test_no_more_work_at_once_than_there_are_places() -> None:
    gate, lock = Gate(2, slice_seconds=0.0), threading.Lock()
    working, most = [0], [0]

    def query() -> None:
        with Stop(time.monotonic() + 60, gate=gate) as stop:
            for _ in range(20):
                with lock:
                    working[0] += 1
                    most[0] = max(most[0], working[0])
                with lock:
                    working[0] -= 1
                stop.check()

    threads = [threading.Thread(target=query) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most[0] <= 2
    assert gate.waiting == 0


def test_waiting_ends_with_the_query() -> None:
    gate, event = Gate(1), threading.Event()
    gate.enter(gate.ticket(), lambda: None)
    with pytest.raises(QueryTimeoutError, match="timed out in query queue"):
        Stop(time.monotonic() + 0.05, gate=gate).__enter__()
    event.set()
    with pytest.raises(QueryCancelledError, match="canceled in query queue"):
        Stop(time.monotonic() + 60, event, gate).__enter__()
    assert gate.waiting == 0


def test_who_waits_for_a_lock_holds_no_place() -> None:
    gate, lock = Gate(1), threading.Lock()
    lock.acquire()
    stop = Stop(time.monotonic() + 60, gate=gate)

    def query() -> None:
        with stop:
            stop.acquire(lock, "a test")
            lock.release()

    thread = threading.Thread(target=query)
    thread.start()
    until(lambda: stop.waits)
    with Stop(time.monotonic() + 60, gate=gate):
        lock.release()
    thread.join(30)
    assert not thread.is_alive()
    lock.acquire()
    with pytest.raises(QueryTimeoutError, match="timed out in a test"):
        Stop(time.monotonic() + 0.05, gate=gate).acquire(lock, "a test")
