"""`windvane logs import`: access logs from files or a pipe to a running server."""

from __future__ import annotations

import gzip
import io
import re
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from windvane.cli.client import answer, server_option
from windvane.cli.output import output_option, print_json
from windvane.kit.errors import BadInputError, OverloadedError, UnavailableError
from windvane.signals.envoy_text import BadLine, Entry, LineReader, compile_format, default_formats

_BATCH, _BATCH_BYTES = 10_000, 8 << 20
_CHUNK = 1 << 18
_LONGEST = 4 << 20  # bytes without an end of line
_TOLD = 10  # bad lines that are shown
_PATIENCE = 60.0  # seconds that a server may be full
_POD = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


@click.command("import")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--format", "form", help="Envoy's format string of the lines, or a JSON object of them "
              "(default: Istio's text and JSON, Envoy's default).")  # fmt: skip
@click.option("--pod", default="", help="The pod whose proxy wrote the lines, where they do not name it.")
@click.option("--namespace", default="", help="The pod's namespace.  [default: default]")
@click.option("--check", is_flag=True, help="Read only: say what would be imported.")
@click.option("--strict", is_flag=True, help="Exit with 1 when a line could not be read.")
@server_option
@output_option
def import_logs(
    files: tuple[Path, ...], *, form: str | None, pod: str, namespace: str, check: bool, strict: bool, output: str,
    server: str, tenant: str | None,
) -> None:  # fmt: skip
    """Import access logs of Envoy from FILES (plain or gzip; - or none for standard input).

    Lines may begin as `kubectl logs --prefix --timestamps` and container runtimes print them. Lines that are no entry
    are told with their number and left out. Imported entries can be searched; metrics do not count them.
    """
    formats = default_formats() if form is None else (compile_format(form),)
    for name, value in (("pod", pod), ("namespace", namespace)):
        if value and not _POD.fullmatch(value):
            raise BadInputError(f"{name} {value!r} is no name of Kubernetes")
    done = _Import(server, tenant, check)
    with _progress(files, output) as advance:
        for file in files or (Path("-"),):
            reader = LineReader(formats, pod=pod, namespace=namespace)
            try:
                with _opened(file, advance) as source:
                    done.read(str(file), source, reader)
            except (OSError, EOFError, zlib.error) as error:
                done.flush()
                raise BadInputError(f"{file}: {error}; {done.stored} entries before are stored") from error
    done.report(output)
    if done.bad and (strict or not done.stored):
        sys.exit(1)


@dataclass
class _Import:
    server: str
    tenant: str | None
    check: bool
    stored: int = 0
    bad: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    shown: list[tuple[str, BadLine]] = field(default_factory=list)
    batch: list[bytes] = field(default_factory=list)
    size: int = 0

    def read(self, name: str, source: BinaryIO, reader: LineReader) -> None:
        """All lines of a source; what a pipe has given so far is sent before more is waited for."""
        rest = b""
        while chunk := source.read1(_CHUNK) if isinstance(source, io.BufferedIOBase) else source.read(_CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._take(name, reader.read(line))
            if len(rest) > _LONGEST:
                self._take(name, reader.read(rest))
                rest = b""
            if name == "-" and len(chunk) < _CHUNK:
                self.flush()
        self._take(name, reader.read(rest) if rest else None)
        self.flush()

    def _take(self, name: str, found: Entry | BadLine | None) -> None:
        if isinstance(found, BadLine):
            self.bad += 1
            self.reasons[found.reason if len(self.reasons) < _TOLD else "another reason"] += 1
            if len(self.shown) < _TOLD:
                self.shown.append((name, found))
        elif found is not None:
            self.batch.append(orjson.dumps(found))
            self.size += len(self.batch[-1])
            if len(self.batch) >= _BATCH or self.size >= _BATCH_BYTES:
                self.flush()

    def flush(self) -> None:
        """Send what was gathered. Only a server that is full is asked again: of another it is not known what it has."""
        deadline = time.monotonic() + _PATIENCE
        while self.batch and not self.check:
            try:
                self._send(b"\n".join(self.batch))
                break
            except OverloadedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
            except UnavailableError as error:
                raise UnavailableError(f"{error.message} ({self.stored} entries before are stored)") from error
        self.stored += len(self.batch)
        self.batch, self.size = [], 0

    def _send(self, body: bytes) -> None:
        headers = {"Content-Type": "application/x-ndjson"}
        answer(self.server, self.tenant, "logs/import", content=body, headers=headers)

    def report(self, output: str) -> None:
        """What became of the lines."""
        if output == "json":
            bad = [{"file": name, "line": b.number, "reason": b.reason, "text": b.text} for name, b in self.shown]
            print_json({"stored": self.stored, "bad": self.bad, "reasons": dict(self.reasons), "first_bad": bad})
            return
        for name, line in self.shown:
            click.echo(f"{name}:{line.number}: {line.reason}: {line.text}", err=True)
        if self.bad > len(self.shown):
            click.echo(f"… and {self.bad - len(self.shown)} more lines that are no entry", err=True)
        would = "would be imported" if self.check else "imported"
        click.echo(f"{self.stored} entries {would}, {self.bad} lines left out")


@contextmanager
def _opened(file: Path, advance: _Advance) -> Iterator[BinaryIO]:
    """A file as it is or unpacked; what is read of it counts as progress."""
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    with file.open("rb") as raw:
        counted: Any = _Counted(raw, advance)
        packed = raw.peek(2)[:2] == b"\x1f\x8b"
        yield gzip.GzipFile(fileobj=counted) if packed else counted  # type: ignore[misc]


class _Advance:
    """Where progress is told."""

    def __init__(self, progress: Progress | None, task: Any) -> None:
        self._progress, self._task = progress, task

    def __call__(self, count: int) -> None:
        if self._progress is not None:
            self._progress.advance(self._task, count)


class _Counted:
    """A file that tells how much of it was read."""

    def __init__(self, raw: BinaryIO, advance: _Advance) -> None:
        self._raw, self._advance = raw, advance

    def read(self, size: int = -1) -> bytes:
        found = self._raw.read(size)
        self._advance(len(found))
        return found


@contextmanager
def _progress(files: tuple[Path, ...], output: str) -> Iterator[_Advance]:
    """A bar on a terminal's standard error; nothing elsewhere."""
    console = Console(stderr=True)
    known = bool(files) and all(file.is_file() for file in files)
    if output == "json" or not console.is_terminal or not known:
        yield _Advance(None, None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Advance(progress, progress.add_task("import", total=sum(file.stat().st_size for file in files)))
