"""An explained answer, from counters, spans and the configuration's history in a store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from istio_series import Peer
from seeing_series import FRONT, NOBODY, NOW, REVIEWS, Calls, both, minutes, write
from telemetry_rows import store_spans

from windvane.analytics.accounts import Node
from windvane.analytics.causes import Cause
from windvane.analytics.changes import bearing, changes_near, raised
from windvane.analytics.explain.context import Context
from windvane.analytics.explain.detail import Detail, Row, changed_at
from windvane.analytics.explain.evidence import answered
from windvane.analytics.explain.explained import Sources, explained
from windvane.analytics.explain.flags import FLAGS, GRPC, code_words, kinds_of
from windvane.analytics.explain.model import Change
from windvane.analytics.explain.words import _TEXTS, share
from windvane.analytics.why import Told
from windvane.api.windvane.analytics_releases import range_asker
from windvane.api.windvane.analytics_why_models import Why
from windvane.history.book import Book
from windvane.history.versions import Resource, Version, changes
from windvane.kit.errors import BadInputError, NotFoundError
from windvane.promql.engine import QueryEngine
from windvane.store.embedded import EmbeddedEngine
from windvane.tracing.model import Span

SIZE, LAST = 24, 5
ONSET = NOW - 60 * LAST
SECOND = 10**9
REVIEWS_V2 = Peer("reviews-v2", app="reviews", version="v2")
ROUTE = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews]
  http:
  - route:
    - {destination: {host: reviews, subset: v1}, weight: %d}
    - {destination: {host: reviews, subset: v2}, weight: %d}
"""


def sources(engine: EmbeddedEngine) -> Sources:
    return Sources(range_asker(QueryEngine(engine)), engine, Book(engine))


def late(usual: float, now: float) -> Any:
    values = minutes(SIZE, usual)
    values[-LAST:] = now
    return values


def configured(engine: EmbeddedEngine, at: int) -> None:
    """Two versions: the second, at a time, moved the route's weights and an unrelated policy."""
    book, before = Book(engine), {}
    for number, moment, weights in ((1, NOW - 7_200, (90, 10)), (2, at, (60, 40))):
        resources = [
            Resource("VirtualService", "shop", "reviews", "routes.yaml", 1, str(weights), ROUTE % weights),
            Resource(
                "Telemetry", "other", "all", "other.yaml", 1, str(number), f"kind: Telemetry\nspec: {{n: {number}}}"
            ),
        ]
        told = changes(before, resources)
        book.write(Version(number, f"{number:064x}", moment * 1_000, 3, 3, changes=told))
        before = {one.key: one for one in resources}


def traced(engine: EmbeddedEngine, slow: bool) -> None:
    """A trace a second around the onset: front calls reviews, which asks its database."""
    spans = []
    for number in range(240):
        start = (ONSET - 120 + number) * SECOND
        bad = slow and number >= 125
        trace = f"{number + 1:032x}"
        for place, (name, service, kind, length, more) in enumerate((
            ("GET /", "front.shop", "Server", 30 + 200 * bad, {}),
            ("GET /reviews", "reviews.shop", "Server", 20 + 200 * bad, {}),
            ("SELECT reviews", "reviews.shop", "Client", 10 + 200 * bad + number % 5, {"db.name": "books"}),
        ), 1):  # fmt: skip
            spans.append(Span(
                trace, f"{place:016x}", f"{place - 1:016x}" if place > 1 else "", name, kind, service,
                start + place * 10**6, length * 10**6, attributes=more,
            ))  # fmt: skip
    store_spans(engine, spans)


def test_the_bad_version_and_the_change_before_it_are_told(engine: EmbeddedEngine) -> None:
    """Version 2 of reviews fails, half a minute after its weight was raised; every claim can be looked up."""
    none = minutes(SIZE, 0)
    write(engine, [
        *both(NOBODY, FRONT, minutes(SIZE, 600), late(0, 120), minutes(SIZE, 20))[:1],
        *both(FRONT, REVIEWS, late(540, 360), none, minutes(SIZE, 8)),
        *both(FRONT, REVIEWS_V2, late(60, 240), late(0, 120), minutes(SIZE, 8)),
    ])  # fmt: skip
    configured(engine, ONSET - 40)
    canary = explained(sources(engine), "front", NOW)
    first = canary.causes[0]
    assert (first.service, first.kind, first.signal) == ("reviews", "service", "errors")
    assert first.only is not None
    assert (first.only.by, first.only.value) == ("version", "v2")
    assert canary.onset == pytest.approx(ONSET, abs=60)
    assert [one.kind for one in first.evidence][:2] == ["change", "change"]
    change = next(one for one in canary.changes if one.kind == "configuration" and one.relevance == 1.0)
    assert change.service == "reviews.shop"
    assert change.text == (
        "version 2 of the configuration changed VirtualService reviews.shop "
        "(spec.http[0].route[0].weight 90 → 60, spec.http[0].route[1].weight 10 → 40)"
    )
    assert {one.kind for one in canary.changes} >= {"configuration", "split"}
    assert next(one for one in canary.changes if "Telemetry" in one.text).relevance == 0.0
    assert any(one.text.startswith("503 (not available): 20% of calls now, 0% before") for one in first.evidence)

    assert canary.paragraph.startswith("front.shop fails more than usual since ")
    assert "It begins in reviews.shop itself" in canary.paragraph
    assert "It is only version v2 (50%, the rest 0%)." in canary.paragraph
    assert all(one.ref is not None for one in canary.explanation)
    told = [one.ref for one in (*canary.explanation, *canary.causes[0].evidence)]
    queries = {one.query: one for one in told if one is not None and one.kind == "query"}
    ask = range_asker(QueryEngine(engine))
    for query, ref in queries.items():
        assert ask(query, ref.end * 1_000, ref.end * 1_000, 60_000).metrics, query
    Why.model_validate(canary.json())


def test_traces_show_what_the_time_went_to(engine: EmbeddedEngine) -> None:
    none, rate = minutes(SIZE, 0), minutes(SIZE, 600)
    write(engine, [
        *both(NOBODY, FRONT, rate, none, late(30, 230))[:1],
        *both(FRONT, REVIEWS, rate, none, late(20, 220)),
    ])  # fmt: skip
    traced(engine, slow=True)
    found = explained(sources(engine), "front.shop", NOW, language="zh")
    assert found.paragraph.startswith("front.shop 自 ")
    assert "问题始于 reviews.shop 本身" in found.paragraph
    first = found.causes[0]
    assert first.service == "reviews"
    evidence = {one.kind: one for one in first.evidence}
    assert "SELECT reviews (books)" in evidence["self-time"].text
    trace = evidence["trace"].ref
    assert trace is not None
    assert trace.kind == "trace"
    assert 125 < int(trace.id, 16) <= 240


def test_without_anything_odd_it_abstains_and_says_what_it_looked_at(engine: EmbeddedEngine) -> None:
    none, rate = minutes(SIZE, 0), minutes(SIZE, 600)
    write(engine, both(FRONT, REVIEWS, rate, none, minutes(SIZE, 8)))
    found = explained(sources(engine), "reviews", NOW)
    assert found.abstained
    assert (found.causes, found.changes, found.signal) == ((), (), None)
    assert (
        found.paragraph
        == "Nothing about reviews.shop is out of the usual: 600 calls a minute, 0% of them failed, 8 ms a call."
    )
    assert found.explanation[0].ref is not None
    assert changes_near(sources(engine).ask, None, [("shop", "reviews")], NOW - 600.0) == []
    with pytest.raises(NotFoundError, match=r"no HTTP or gRPC calls to service nobody in the 70 minutes before"):
        explained(sources(engine), "nobody", NOW)


@pytest.mark.parametrize(("flags", "kind"), [("-", "service"), ("UC", "way")])
def test_a_failure_without_a_flag_is_the_other_ends(flags: str, kind: str) -> None:
    """The callee's own report is late: only the caller has told of the failures."""
    at = np.arange(1, 41) * 15
    rows = [Row({"reporter": "source", "source_canonical_service": "front", "response_code": "500",
                 "response_flags": flags}, np.where(at > 300, 5.0, 0.0))]  # fmt: skip
    reviews, front = ("shop", "reviews"), ("shop", "front")
    detail = Detail(reviews, at, rows, [])
    context = Context("en", at, {}, {reviews: detail}, 300.0, 600)
    node = Node(reviews, front)
    told = Told(node, Cause(node.name, 0.9, 9.0, (), 0.8), 0.0, 0.1, 100.0, (node,), "way")
    [found] = answered([told], context)
    assert (found.kind, found.node.caller) == (kind, front if kind == "way" else None)


def test_timeouts_are_followed_as_time(engine: EmbeddedEngine) -> None:
    """front gives up after a second: its calls fail with UT, what is slow lies behind reviews."""
    rate, failed = minutes(SIZE, 600), late(0, 300)
    ratings = Peer("ratings-v1", app="ratings")
    write(engine, [
        *both(NOBODY, FRONT, rate, failed, late(30, 600))[:1],
        replace(both(FRONT, REVIEWS, rate, failed, late(20, 900))[1], flags="UT"),
        Calls("destination", FRONT, REVIEWS, rate, failed, late(20, 900), "DC"),
        *both(REVIEWS, ratings, rate, minutes(SIZE, 0), late(5, 880)),
    ])  # fmt: skip
    found = explained(sources(engine), "front", NOW, "errors")
    assert found.signal == "errors"
    assert (found.causes[0].service, found.causes[0].signal) == ("ratings", "latency")
    assert "What fails are timeouts, so time was followed." in found.paragraph
    assert found.causes[0].now > 500


def test_a_change_after_the_onset_is_no_cause_and_one_long_before_says_little() -> None:
    def change(at: float) -> Change:
        return Change(at, "configuration", "", None, "a.b", 1.0)

    assert bearing(change(1_100.0), 1_000.0) == 0.0
    assert bearing(change(990.0), 1_000.0) == 1.0
    assert 0.3 < bearing(change(400.0), 1_000.0) < 0.7
    assert raised(0.5, [change(990.0)], "a.b", 1_000.0) == 0.75
    assert raised(0.5, [change(990.0)], "other.b", 1_000.0) == 0.5


def test_the_one_change_of_level_is_found() -> None:
    values = np.array([1.0, 2.0, 1.0, 9.0, 8.0, 9.0])
    assert changed_at(values, np.ones(6)) == 3
    assert changed_at(values[:3], np.ones(3)) is None
    assert changed_at(np.ones(6), np.ones(6)) is None


def test_flags_and_codes_have_words_in_both_languages() -> None:
    for one in FLAGS.values():
        assert all(one.words("en"))
        assert all(one.words("zh"))
    assert kinds_of(["UT", "-", "XX"]) == {"timeout"}
    assert code_words("200", "14", "en") == "gRPC 14 UNAVAILABLE (the service was not available)"
    assert code_words("200", "14", "zh") == "gRPC 14 UNAVAILABLE (服务不可用)"
    assert code_words("418", "", "en") == "418"
    assert set(GRPC) == {str(code) for code in range(17)}
    for english, chinese in _TEXTS.values():
        names = [sorted(part.split("}")[0] for part in text.split("{")[1:]) for text in (english, chinese)]
        assert sorted(set(names[0])) == sorted(set(names[1]))


def test_shares_are_told_with_digits_that_tell() -> None:
    assert [share(one) for one in (0.0, 0.004, 0.034, 0.34)] == ["0%", "0.40%", "3.4%", "34%"]


def test_what_is_asked_wrongly_is_named(engine: EmbeddedEngine) -> None:
    rate, none = minutes(SIZE, 600), minutes(SIZE, 0)
    other = Peer("reviews-v1", "library", app="reviews")
    write(engine, both(FRONT, REVIEWS, rate, none, rate / 50) + both(FRONT, other, rate, none, rate / 50))
    with pytest.raises(BadInputError, match=r"service reviews is in namespaces library, shop: name it NAME.NAMESPACE"):
        explained(sources(engine), "reviews", NOW)
