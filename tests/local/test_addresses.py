"""Claims of addresses: never two alike, given back at the end, other programs' ports respected."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from windvane.kit.errors import LimitError
from windvane.local.addresses import can_bind, claim


def anything(_: str, __: int) -> bool:
    return True


def shared_only(address: str, port: int) -> bool:
    """A machine with no loopback address but 127.0.0.1."""
    return address == "127.0.0.1" and can_bind(address, port)


def test_claims_made_at_once_share_no_address_and_no_port(tmp_path: Path) -> None:
    held = [claim(tmp_path, bindable=anything) for _ in range(4)]
    assert len({c.prefix for c in held}) == 4
    assert len({c.ports.start for c in held}) == 4


def test_a_closed_claim_is_free_again(tmp_path: Path) -> None:
    first = claim(tmp_path, bindable=anything)
    name = first.name
    first.close()
    assert claim(tmp_path, bindable=anything).name == name


def test_a_claim_ends_with_the_process_that_held_it(tmp_path: Path) -> None:
    text = "import sys, pathlib; from windvane.local.addresses import claim; "
    text += (
        "c = claim(pathlib.Path(sys.argv[1]), bindable=lambda *_: True); print(c.name, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", text, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        name = other.stdout.readline().strip()
        second = claim(tmp_path, bindable=anything)
        assert second.name != name
        second.close()
        other.kill()
        other.wait()
    assert claim(tmp_path, bindable=anything).name == name


def test_an_earlier_prefix_is_preferred(tmp_path: Path) -> None:
    first = claim(tmp_path, prefer="127.90.7", bindable=anything)
    assert first.prefix == "127.90.7"
    assert claim(tmp_path, prefer="127.90.7", bindable=anything).prefix != first.prefix


def test_where_only_one_address_exists_claims_are_blocks_of_its_ports(tmp_path: Path) -> None:
    first, second = claim(tmp_path, bindable=shared_only), claim(tmp_path, bindable=shared_only)
    assert first.prefix == second.prefix == ""
    assert first.address(0) == first.address(200) == "127.0.0.1"
    assert not set(first.ports) & set(second.ports)


def test_all_blocks_taken_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(LimitError, match=r"no free block of loopback addresses or ports is left"):
        claim(tmp_path, bindable=lambda *_: False)


def test_more_workloads_than_addresses_is_a_clear_error(tmp_path: Path) -> None:
    held = claim(tmp_path, bindable=anything)
    assert held.address(252).endswith(".254")
    with pytest.raises(LimitError, match=r"at most 253 sidecars"):
        held.address(253)


def test_a_visible_port_moves_up_past_other_programs_and_other_meshes(tmp_path: Path) -> None:
    first, second = claim(tmp_path, bindable=anything), claim(tmp_path, bindable=anything)
    first.bindable = second.bindable = can_bind
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        got = first.visible_port("127.0.0.1", taken)
        assert got > taken
        assert second.visible_port("127.0.0.1", got) > got  # not bound by anyone, but promised


def test_a_port_in_time_wait_counts_as_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not can_bind("127.0.0.1", port)
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()  # the side that closes first keeps the port in TIME_WAIT
        client.close()
    assert can_bind("127.0.0.1", port)
