"""Recorded traffic for `windvane diff`: access logs, traces, or a running server's access logs."""

from __future__ import annotations

import gzip
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from windvane.cli.client import answer
from windvane.kit.errors import BadInputError
from windvane.kit.values import parse_duration
from windvane.local.diff.recorded import Recorded, of_entries
from windvane.local.diff.traces import is_traces, of_traces
from windvane.signals.envoy_text import BadLine, Entry, LineReader, compile_format, default_formats

_PAGE = 1_000
_TOLD = 3


class Traffic:
    """The requests of all sources, and what could not be read; `lines` counts what was looked at."""

    def __init__(self) -> None:
        self.requests: Counter[Recorded] = Counter()
        self.notes: list[str] = []

    def read_file(self, path: Path, form: str | None) -> None:
        """An access log (text or JSON) or traces (OTLP or Jaeger, JSON), plain or gzip; `-` is standard input."""
        data = _content(path)
        documents = _traces(data)
        if documents is not None:
            found, skipped = of_traces(documents)
            self.requests += found
            if skipped:
                self.notes.append(f"{path}: {skipped} server spans tell no method or path and are left out")
            return
        bad: list[BadLine] = []
        formats = default_formats() if form is None else (compile_format(form),)
        self.requests += of_entries(_entries(data, LineReader(formats), bad))
        if bad:
            shown = "; ".join(f"line {one.number}: {one.reason}" for one in bad[:_TOLD])
            self.notes.append(f"{path}: {len(bad)} lines are no entries of an access log and are left out ({shown})")
        if not self.requests and bad:
            raise BadInputError(f"{path}: nothing in it is an access log or a trace ({bad[0].reason}: {bad[0].text!r})")

    def read_server(self, server: str, tenant: str | None, since: str, limit: int) -> None:
        """The newest access-log entries of a running Windvane."""
        lines = list(_server_lines(server, tenant, since, limit))
        self.requests += of_entries(map(_server_entry, lines))
        if len(lines) >= limit:
            self.notes.append(f"{server}: the newest {limit} entries within {since} were read; there may be more")


def _content(path: Path) -> bytes:
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise BadInputError(f"{path}: cannot be read: {error}") from None


def _traces(data: bytes) -> list[Any] | None:
    """The documents of traces, one or one a line; None for what is no JSON of traces."""
    if data.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        documents = [orjson.loads(data)]
    except orjson.JSONDecodeError:
        try:
            first = data.lstrip().split(b"\n", 1)[0]
            if not is_traces(orjson.loads(first)):
                return None
            documents = [orjson.loads(line) for line in data.splitlines() if line.strip()]
        except orjson.JSONDecodeError:
            return None
    return documents if is_traces(documents[0]) else None


def _entries(data: bytes, reader: LineReader, bad: list[BadLine]) -> Iterator[Entry]:
    for line in data.split(b"\n"):
        found = reader.read(line)
        if isinstance(found, BadLine):
            bad.append(found)
        elif found is not None:
            yield found


def _server_lines(server: str, tenant: str | None, since: str, limit: int) -> Iterator[dict[str, Any]]:
    end = time.time() + 1
    asked = {"q": "", "kind": "access", "sort": "newest", "start": end - parse_duration(since), "end": end}
    cursor: str | None = None
    while limit > 0:
        page = {"limit": min(limit, _PAGE), **({"cursor": cursor} if cursor else {})}
        found = answer(server, tenant, "logs", params={**asked, **page})
        yield from found["lines"]
        limit -= len(found["lines"])
        cursor = found["next"]
        if cursor is None or not found["lines"]:
            return


def _server_entry(line: dict[str, Any]) -> Entry:
    """Columns by their names in the table; the API has them in snake_case."""
    entry = line.get("entry") or {}
    return {"".join(part.capitalize() for part in name.split("_")): value for name, value in entry.items()}
