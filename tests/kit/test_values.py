"""Setting values are read as people write them, and refused with what was expected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windvane.kit.errors import BadInputError
from windvane.kit.values import Address, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30),
        ("1h30m", 5_400),
        ("15d", 1_296_000),
        ("1w", 604_800),
        ("1.5s", 1.5),
        ("10m0s", 600),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "5x", "1h 5m", "-5s", "5sm"])
def test_bad_durations_name_the_value(text: str) -> None:
    with pytest.raises(BadInputError, match="not a duration: " + repr(text).replace("(", "\\(")):
        parse_duration(text)


@pytest.mark.parametrize(("text", "size"), [("512", 512), ("64k", 65_536), ("10MiB", 10 << 20), ("2 GiB", 2 << 30)])
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", "5 apples"])
def test_bad_sizes(text: str) -> None:
    with pytest.raises(BadInputError, match="not a size"):
        parse_size(text)


@given(st.sampled_from(["127.0.0.1", "localhost", "::1"]), st.integers(0, 65_535))
def test_an_address_reads_what_it_prints(host: str, port: int) -> None:
    assert Address.parse(str(Address(host, port))) == Address(host, port)


@pytest.mark.parametrize("text", ["9900", ":9900", "host:", "host:70000", "host:x"])
def test_bad_addresses(text: str) -> None:
    with pytest.raises(BadInputError, match="not an address"):
        Address.parse(text)
