"""Targets from DNS: SRV records, or addresses (A, AAAA) with a port from the configuration.

One UDP query to the system's first name server; an answer that was cut short is asked again over TCP.
Wire format: RFC 1035 §4, SRV: RFC 2782.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
import struct
from collections.abc import Iterator
from pathlib import Path

from windvane.ingest.scrape.discovery.base import Update
from windvane.ingest.scrape.discovery_config import DnsDiscovery
from windvane.ingest.scrape.targets import ADDRESS, TargetGroup
from windvane.kit.clock import Clock
from windvane.kit.errors import UnavailableError

_log = logging.getLogger(__name__)
_TYPES = {"A": 1, "AAAA": 28, "SRV": 33}
_TIMEOUT = 5.0
_NO_ERROR, _NO_SUCH_NAME = 0, 3
_META = "__meta_dns_"


class DnsTargets:
    """Asks for every name, again after each refresh interval. `server` is for tests: the system's otherwise."""

    def __init__(self, config: DnsDiscovery, clock: Clock, server: tuple[str, int] | None = None) -> None:
        self._config = config
        self._clock = clock
        self._server = server

    async def run(self, update: Update) -> None:
        while True:
            for name in self._config.names:
                try:
                    update([await self._group(name)])
                except (UnavailableError, OSError, ValueError) as error:
                    _log.warning("targets of %s stay as they were: %s", name, error)
            await self._clock.sleep(self._config.refresh_interval)

    async def _group(self, name: str) -> TargetGroup:
        kind = self._config.type.upper()
        server = self._server
        if server is None:
            server = await asyncio.to_thread(system_server)
        targets = []
        for host, port in await lookup(name, kind, server):
            labels = {_META + "name": name, _META + "srv_record_target": "", _META + "srv_record_port": ""}
            if kind == "SRV":
                labels |= {_META + "srv_record_target": host, _META + "srv_record_port": str(port)}
            shown = f"[{host}]" if ":" in host else host.rstrip(".") if kind == "SRV" else host
            targets.append({**labels, ADDRESS: f"{shown}:{port if kind == 'SRV' else self._config.port}"})
        return TargetGroup(name, targets)


def system_server() -> tuple[str, int]:
    """The first name server of /etc/resolv.conf."""
    for line in Path("/etc/resolv.conf").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            return words[1], 53
    return "127.0.0.1", 53


async def lookup(name: str, kind: str, server: tuple[str, int]) -> list[tuple[str, int]]:
    """Hosts and ports (0 for addresses) of the records of a name; none when the name does not exist."""
    number = random.randrange(1 << 16)
    query = struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + _encoded(name) + struct.pack(">HH", _TYPES[kind], 1)
    async with asyncio.timeout(_TIMEOUT):
        answer = await _over_udp(query, server)
        if _flags(answer) & 0x0200:
            answer = await _over_tcp(query, server)
    code = _flags(answer) & 15
    if code == _NO_SUCH_NAME:
        return []
    if code != _NO_ERROR or answer[:2] != query[:2]:
        raise UnavailableError(f"could not resolve {name!r}: the server answered code {code}")
    return list(_records(answer, _TYPES[kind]))


class _Answer(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.received.done():
            self.received.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.received.done():
            self.received.set_exception(exc)


async def _over_udp(query: bytes, server: tuple[str, int]) -> bytes:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(_Answer, remote_addr=server)
    try:
        transport.sendto(query)
        return await protocol.received
    finally:
        transport.close()


async def _over_tcp(query: bytes, server: tuple[str, int]) -> bytes:
    reader, writer = await asyncio.open_connection(*server)
    try:
        writer.write(struct.pack(">H", len(query)) + query)
        (size,) = struct.unpack(">H", await reader.readexactly(2))
        return await reader.readexactly(size)
    finally:
        writer.close()


def _encoded(name: str) -> bytes:
    parts = name.rstrip(".").encode("idna").split(b".")
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def _flags(answer: bytes) -> int:
    if len(answer) < 12:
        raise ValueError("the name server's answer is truncated")
    return int.from_bytes(answer[2:4], "big")


def _records(answer: bytes, wanted: int) -> Iterator[tuple[str, int]]:
    questions, answers = struct.unpack_from(">HH", answer, 4)
    position = 12
    try:
        for _ in range(questions):
            position = _name(answer, position)[1] + 4
        for _ in range(answers):
            position = _name(answer, position)[1]
            kind, _, _, size = struct.unpack_from(">HHIH", answer, position)
            position += 10
            if kind == wanted:
                yield _record(answer, position, size, kind)
            position += size
    except (struct.error, IndexError):
        raise ValueError("the name server's answer is truncated") from None


def _record(answer: bytes, position: int, size: int, kind: int) -> tuple[str, int]:
    if kind == _TYPES["SRV"]:
        (port,) = struct.unpack_from(">H", answer, position + 4)
        return _name(answer, position + 6)[0], port
    return str(ipaddress.ip_address(answer[position : position + size])), 0


def _name(answer: bytes, position: int) -> tuple[str, int]:
    """A name, followed through its pointers, and where the next field begins."""
    labels: list[str] = []
    end = 0
    for _ in range(128):
        size = answer[position]
        if size >= 0xC0:
            end = end or position + 2
            position = int.from_bytes(answer[position : position + 2], "big") & 0x3FFF
            continue
        position += 1
        if not size:
            return ".".join(labels) + ".", end or position
        labels.append(answer[position : position + size].decode("ascii", errors="replace"))
        position += size
    raise ValueError("a name in the name server's answer has no end")
