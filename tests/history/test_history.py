"""The configuration's history in the store: versions, what was live when, what proxies said, restarts."""

from __future__ import annotations

import pytest

from windvane.history.book import Book
from windvane.history.recorder import Recorder
from windvane.history.versions import Resource, Version, changes
from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError, NotFoundError, UnavailableError
from windvane.store.api import Engine

START_MS = 1_700_000_000_000
MINUTE = 60


def resource(name: str, text: str, kind: str = "VirtualService") -> Resource:
    return Resource(kind, "shop", name, f"/mesh/{name}.yaml", 1, f"digest of {text}", text)


REVIEWS = resource("reviews", "weight: 90\n")
SHIFTED = resource("reviews", "weight: 50\n")
RATINGS = resource("ratings", "host: ratings\n", "DestinationRule")


def three_versions(book: Book, clock: ManualClock) -> Recorder:
    recorder = Recorder(book, clock)
    recorder.load()
    recorder.live("aaaa1111", [REVIEWS], 2, 3)
    recorder.answered("sidecar~1", "reviews-v1", "shop", None)
    clock.advance(MINUTE)
    recorder.live("bbbb2222", [SHIFTED, RATINGS], 2, 4)
    recorder.answered("sidecar~1", "reviews-v1", "shop", {"LDS": "no such filter"})
    recorder.answered("sidecar~1", "reviews-v1", "shop", {"LDS": "no such filter"})
    clock.advance(MINUTE)
    recorder.live("aaaa1111", [REVIEWS], 2, 3)
    recorder.close()
    return recorder


def told(version: Version) -> list[str]:
    return [f"{one.what} {one.kind} {one.name}" for one in version.changes]


def test_versions_say_what_they_changed_and_how_long_they_were_live(engine: Engine) -> None:
    book = Book(engine)
    three_versions(book, ManualClock(START_MS * 1_000_000))
    newest, second, first = book.versions(10)
    assert [one.number for one in (newest, second, first)] == [3, 2, 1]
    assert (first.live_ms, first.until_ms) == (START_MS, START_MS + 60_000)
    assert newest.until_ms is None
    assert told(first) == ["added VirtualService reviews"]
    assert told(second) == ["added DestinationRule ratings", "changed VirtualService reviews"]
    assert told(newest) == ["removed DestinationRule ratings", "changed VirtualService reviews"]
    assert [(one.type, one.reason) for one in second.answers] == [("LDS", "no such filter")]
    assert [one.type for one in first.answers] == [""]


def test_a_version_by_number_hash_and_time_with_its_yaml(engine: Engine) -> None:
    book = Book(engine)
    three_versions(book, ManualClock(START_MS * 1_000_000))
    assert [(one.before, one.after) for one in book.version("2").changes] == [
        ("", RATINGS.text),
        (REVIEWS.text, SHIFTED.text),
    ]
    assert book.version("bbbb").number == 2
    assert book.version("aaaa11").number == 3  # the newest that has the hash
    assert book.at(START_MS + 59_999).number == 1
    assert book.at(START_MS + 60_000).number == 2
    assert book.resources(2) == [RATINGS, SHIFTED]
    assert book.between("1", "3")[2] == []
    assert [one.what for one in book.between("2", "3")[2]] == ["removed", "changed"]


def test_versions_of_an_interval_and_of_a_service(engine: Engine) -> None:
    book = Book(engine)
    three_versions(book, ManualClock(START_MS * 1_000_000))
    assert [one.number for one in book.versions(10, START_MS + 60_000, START_MS + 90_000)] == [2]
    assert [one.number for one in book.versions(10, service="ratings")] == [3, 2]
    assert book.versions(10, service="rating") == []


def test_what_there_is_not(engine: Engine) -> None:
    book = Book(engine)
    with pytest.raises(NotFoundError, match="history begins later"):
        book.at(START_MS)
    three_versions(book, ManualClock(START_MS * 1_000_000))
    for name in ("9", "cccc"):
        with pytest.raises(NotFoundError, match=f"no version {name}"):
            book.version(name)
    with pytest.raises(BadInputError, match="'ab' is no version"):
        book.version("ab")
    with pytest.raises(BadInputError, match="limit must be between 1 and 1000"):
        book.versions(0)


def test_a_restart_goes_on_where_it_was(engine: Engine) -> None:
    book, clock = Book(engine), ManualClock(START_MS * 1_000_000)
    three_versions(book, clock)
    engine.command("INSERT INTO config_changes (Number, Change, Kind, Name) VALUES (4, 'added', 'Gateway', 'lost')")
    again = Recorder(book, clock)
    again.load()
    again.live("aaaa1111", [REVIEWS], 2, 3)
    again.answered("sidecar~1", "reviews-v1", "shop", None)
    again.close()
    assert [len(one.answers) for one in book.versions(10)] == [1, 1, 1]
    again.live("cccc3333", [REVIEWS, RATINGS], 2, 4)
    again.close()
    assert told(book.version("4")) == ["added DestinationRule ratings"]
    assert book.resources(4) == [RATINGS, REVIEWS]


def test_a_store_that_does_not_answer_is_written_later(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    book, clock = Book(engine), ManualClock(START_MS * 1_000_000)
    recorder, failures = Recorder(book, clock), [UnavailableError("away")]
    write = book.write

    def failing(version: Version) -> None:
        if failures:
            raise failures.pop()
        write(version)

    monkeypatch.setattr(book, "write", failing)
    recorder.live("aaaa1111", [REVIEWS], 2, 3)
    recorder.close()
    assert book.newest() is None
    recorder.close()
    newest = book.newest()
    assert newest is not None
    assert newest.number == 1


def test_a_change_is_one_of_meaning() -> None:
    moved = Resource("VirtualService", "shop", "reviews", "/elsewhere.yaml", 9, REVIEWS.digest, "# a comment\n")
    assert changes({REVIEWS.key: REVIEWS}, [moved]) == []
